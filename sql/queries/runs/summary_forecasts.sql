-- Served forecasts of a run in prices, for its summary.
select symbol, horizon, target_month, forecaster, currency_code, origin_close,
       origin_close * exp(q10) as price_q10, origin_close * exp(q50) as price_q50, origin_close * exp(q90) as price_q90
from forecast.forecast
join forecast.forecast_origin using (run_id, symbol)
where run_id = %(run_id)s and is_served
order by symbol, horizon
