select * from report.overdue order by source, universe
