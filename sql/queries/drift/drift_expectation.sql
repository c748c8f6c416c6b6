-- What is expected of a model version, and the first month that it had not seen.
select w.origin_month, w.horizon, w.forecaster, w.symbols, w.measure, w.value, m.holdout_start
from forecast.drift_expectation w
join forecast.model_version m using (model_version_id)
where w.model_version_id = %(model_version_id)s
order by w.origin_month, w.horizon, w.forecaster, w.measure
