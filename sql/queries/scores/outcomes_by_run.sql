-- All forecasts of some runs and horizons, with their first and their last restated outcome: all that month scores are made of, with
-- origins_by_run.sql.
select f.run_id, f.horizon, f.symbol, f.forecaster, f.is_served::integer as is_served, f.origin_month, f.target_month,
       f.q025, f.q05, f.q10, f.q20, f.q30, f.q40, f.q50, f.q60, f.q70, f.q80, f.q90, f.q95, f.q975,
       e.actual_log_return, e.error, e.crps, e.winkler_80, e.winkler_95, e.is_covered_80::integer as is_covered_80,
       e.is_covered_95::integer as is_covered_95, e.is_direction_right::integer as is_direction_right,
       last.error as restated_error, last.crps as restated_crps
from unnest(%(run_ids)s::bigint[], %(horizons)s::smallint[]) as scored (run_id, horizon)
join forecast.forecast f using (run_id, horizon)
left join forecast.forecast_error e using (run_id, symbol, horizon, forecaster)
left join lateral (
    select r.error, r.crps
    from forecast.restated_error r
    where r.run_id = f.run_id and r.symbol = f.symbol and r.horizon = f.horizon and r.forecaster = f.forecaster
    order by r.revision desc
    limit 1
) last on true
