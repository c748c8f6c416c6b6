-- Universes with scored months in force.
select distinct r.source, r.universe
from report.published_run r
where exists (select from forecast.month_score m where m.run_id = r.run_id)
