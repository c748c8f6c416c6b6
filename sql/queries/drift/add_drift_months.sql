-- Two months run at once watch the same forecasts of the past; what the first one wrote stands.
insert into forecast.drift_expectation (model_version_id, forecaster, origin_month, horizon, measure, symbols, value)
select model_version_id, forecaster, origin_month, horizon, measure, symbols, value
from incoming_watch_reference
on conflict (model_version_id, forecaster, origin_month, horizon, measure) do nothing;
insert into ops.drift_month (run_id, horizon, measure, forecaster, symbols, value, expected, deviation, checked_by_run_id)
select run_id, horizon, measure, forecaster, symbols, value, expected, deviation, checked_by_run_id
from incoming_watched_month
on conflict (run_id, horizon, measure) do nothing
