-- Forecasts of given runs, symbols and horizons, by all forecasters.
select f.run_id, f.symbol, f.origin_month, f.horizon, f.target_month, f.forecaster, f.is_served,
       f.q025, f.q05, f.q10, f.q20, f.q30, f.q40, f.q50, f.q60, f.q70, f.q80, f.q90, f.q95, f.q975
from unnest(%(run_ids)s::bigint[], %(symbols)s::text[], %(horizons)s::smallint[]) as k (run_id, symbol, horizon)
join forecast.forecast f using (run_id, symbol, horizon)
order by f.origin_month, f.symbol, f.horizon, f.forecaster
