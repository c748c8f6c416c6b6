-- Results of one experiment of the paper.
select * from report.paper_result where experiment = %(experiment)s
