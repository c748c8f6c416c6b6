-- Monitored universes with their next due dates.
select * from report.monitored_universe
