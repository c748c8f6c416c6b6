-- What the forecasts in force of a universe turned out to be, up to a month.
select w.horizon, w.measure, (r.origin_month + w.horizon * interval '1 month')::date as target_month,
       w.value, w.expected, w.deviation
from report.published_run r
join ops.drift_month w using (run_id)
where r.source = %(source)s and r.universe = %(universe)s
  and r.origin_month + w.horizon * interval '1 month' <= %(through_month)s
order by w.horizon, w.measure, target_month
