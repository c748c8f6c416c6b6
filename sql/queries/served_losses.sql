-- Mean loss by target month and horizon: of what was served, and of the baseline in the same months.
select e.horizon, f.target_month,
       avg(e.crps) filter (where f.is_served) as served_crps,
       avg(e.crps) filter (where f.forecaster = 'baseline') as baseline_crps
from report.published_run r
join forecast.forecast f using (run_id)
join forecast.forecast_error e using (run_id, symbol, horizon, forecaster)
where r.source = %(source)s and r.universe = %(universe)s and f.target_month <= %(through_month)s
group by e.horizon, f.target_month
order by e.horizon, f.target_month
