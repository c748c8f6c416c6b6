-- Store drift expectations and drift months. Two concurrent months may check the same past forecasts: the first rows stay.
insert into forecast.drift_expectation (model_version_id, forecaster, origin_month, horizon, measure, symbols, value)
select model_version_id, forecaster, origin_month, horizon, measure, symbols, value
from incoming_drift_expectation
on conflict (model_version_id, forecaster, origin_month, horizon, measure) do nothing;
insert into ops.drift_month (run_id, horizon, measure, forecaster, symbols, value, expected, deviation, checked_by_run_id)
select run_id, horizon, measure, forecaster, symbols, value, expected, deviation, checked_by_run_id
from incoming_drift_month
on conflict (run_id, horizon, measure) do nothing
