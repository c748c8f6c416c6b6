-- Two concurrent runs score the same past forecasts; the errors committed first stay.
insert into forecast.forecast_error (run_id, symbol, horizon, forecaster, actual_log_return, error, crps, winkler_80, winkler_95,
                                     is_covered_80, is_covered_95, is_direction_right, scored_by_run_id, scored_at)
select run_id, symbol, horizon, forecaster, actual_log_return, error, crps, winkler_80, winkler_95, is_covered_80, is_covered_95,
       is_direction_right, scored_by_run_id, scored_at
from incoming_error
where not is_restated
on conflict (run_id, symbol, horizon, forecaster) do nothing
