-- Drift expectation rows of a model version, and the start of its holdout.
select e.origin_month, e.horizon, e.forecaster, e.symbols, e.measure, e.value, m.holdout_start
from forecast.drift_expectation e
join forecast.model_version m using (model_version_id)
where e.model_version_id = %(model_version_id)s
order by e.origin_month, e.horizon, e.forecaster, e.measure
