select * from report.paper_result where experiment = %(experiment)s
