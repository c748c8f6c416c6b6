-- Forecasts of a run, in force or not.
select symbol, origin_month, horizon, target_month, forecaster, is_served,
       q025, q05, q10, q20, q30, q40, q50, q60, q70, q80, q90, q95, q975
from forecast.forecast
where run_id = %(run_id)s
order by symbol, horizon, forecaster
