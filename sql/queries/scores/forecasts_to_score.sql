-- Published forecasts of a universe whose target month is over and that have no error yet.
select f.run_id, f.symbol, f.origin_month, f.horizon, f.target_month, f.forecaster, f.is_served,
       f.q025, f.q05, f.q10, f.q20, f.q30, f.q40, f.q50, f.q60, f.q70, f.q80, f.q90, f.q95, f.q975
from report.published_run r
join forecast.forecast f using (run_id)
left join forecast.forecast_error e using (run_id, symbol, horizon, forecaster)
where r.source = %(source)s and r.universe = %(universe)s and f.target_month <= %(through_month)s and e.run_id is null
order by f.origin_month, f.symbol, f.horizon, f.forecaster
