-- Origins of a run's forecasts, with the model version.
select symbol, origin_month, origin_session, origin_close, currency_code, naive_mae, model_version_id
from forecast.forecast_origin
where run_id = %(run_id)s
order by symbol
