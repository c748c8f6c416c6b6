-- Scores of a universe over all model versions and symbols, by window, horizon and forecaster.
select forecaster, horizon, window_months, forecasts, unscored, months, mae, mse, rmse, mase, crps, pinball, winkler_80, winkler_95,
       coverage_80, coverage_95, kupiec_p_80, kupiec_p_95, hit_rate, always_up_rate, skill_vs_persistence, p_vs_persistence,
       skill_vs_baseline, p_vs_baseline, rank_ic, restated, mae_restated, crps_restated
from report.scorecard
where source = %(source)s and universe = %(universe)s and model_version_id is null and symbol_group = 'all'
order by window_months nulls last, horizon, forecaster
