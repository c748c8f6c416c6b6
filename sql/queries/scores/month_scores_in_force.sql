-- Monthly scores of the runs in force of one universe.
select m.*, r.is_retrospective::integer as is_retrospective
from report.published_run r
join forecast.month_score m using (run_id)
where r.source = %(source)s and r.universe = %(universe)s
