-- Drift months of a universe's runs in force, with target months up to a month.
select m.horizon, m.measure, (r.origin_month + m.horizon * interval '1 month')::date as target_month,
       m.value, m.expected, m.deviation
from report.published_run r
join ops.drift_month m using (run_id)
where r.source = %(source)s and r.universe = %(universe)s
  and r.origin_month + m.horizon * interval '1 month' <= %(through_month)s
order by m.horizon, m.measure, target_month
