-- Forecasts in force, served and baseline, with target months up to a month: unchecked ones and recent ones.
select f.run_id, o.model_version_id, f.symbol, f.origin_month, f.horizon, f.forecaster, f.is_served,
       f.q025, f.q05, f.q10, f.q20, f.q30, f.q40, f.q50, f.q60, f.q70, f.q80, f.q90, f.q95, f.q975,
       e.actual_log_return, m.run_id is not null as is_checked
from report.published_run r
join forecast.forecast f using (run_id)
join forecast.forecast_origin o using (run_id, symbol)
left join forecast.forecast_error e using (run_id, symbol, horizon, forecaster)
left join ops.drift_month m on m.run_id = f.run_id and m.horizon = f.horizon and m.measure = 'loss'
where r.source = %(source)s and r.universe = %(universe)s and f.horizon = any(%(horizons)s::smallint[])
  and f.target_month <= %(through_month)s and (f.is_served or f.forecaster = 'baseline')
  and (m.run_id is null or f.target_month >= %(since_month)s)
order by f.origin_month, f.horizon, f.symbol, f.forecaster
