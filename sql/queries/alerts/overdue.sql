-- Monitored universes with overdue months.
select * from report.overdue order by source, universe
