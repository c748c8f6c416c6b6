-- Outcomes that differ from the last known outcome. Earlier errors stay.
insert into forecast.restated_error (run_id, symbol, horizon, forecaster, revision, actual_log_return, error, crps, is_covered_80,
                                     is_covered_95, is_direction_right, scored_by_run_id, scored_at)
select i.run_id, i.symbol, i.horizon, i.forecaster, coalesce(newest.revision, 0) + 1, i.actual_log_return, i.error, i.crps,
       i.is_covered_80, i.is_covered_95, i.is_direction_right, i.scored_by_run_id, i.scored_at
from incoming_error i
join forecast.forecast_error e using (run_id, symbol, horizon, forecaster)
left join lateral (
    select r.revision, r.actual_log_return
    from forecast.restated_error r
    where r.run_id = i.run_id and r.symbol = i.symbol and r.horizon = i.horizon and r.forecaster = i.forecaster
    order by r.revision desc
    limit 1
) newest on true
where i.is_restated and abs(i.actual_log_return - coalesce(newest.actual_log_return, e.actual_log_return)) > %(tolerance)s
