-- Origins of the forecasts of some runs.
select o.run_id, o.symbol, o.model_version_id, o.origin_close, o.currency_code, o.naive_mae, o.sector, i.exchange_mic
from forecast.forecast_origin o
left join market.instrument i using (symbol)
where o.run_id = any(%(run_ids)s::bigint[])
