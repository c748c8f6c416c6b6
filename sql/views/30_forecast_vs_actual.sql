create view report.forecast_vs_actual as
select
    f.symbol, f.origin_month, f.horizon, f.target_month, f.forecaster, f.is_served,
    f.q025, f.q10, f.q50, f.q90, f.q975,
    e.actual_log_return, e.error, e.crps, e.is_covered_80, e.is_covered_95, e.is_direction_right,
    e.winkler_80,
    e.winkler_95,
    o.currency_code, o.origin_close,
    o.origin_close * exp(f.q10)               as price_q10,
    o.origin_close * exp(f.q50)               as price_q50,
    o.origin_close * exp(f.q90)               as price_q90,
    o.origin_close * exp(e.actual_log_return) as price_actual,
    abs(e.error) / nullif(o.naive_mae, 0)     as scaled_absolute_error,
    e.scored_at,
    n.actual_log_return as restated_log_return, n.error as restated_error, n.crps as restated_crps, n.scored_at as restated_at,
    o.sector, o.model_version_id, r.source, r.universe, r.is_retrospective, f.run_id
from report.published_run r
join forecast.forecast f using (run_id)
join forecast.forecast_origin o using (run_id, symbol)
join forecast.forecast_error e using (run_id, symbol, horizon, forecaster)
left join (
    select distinct on (run_id, symbol, horizon, forecaster) *
    from forecast.restated_error
    order by run_id, symbol, horizon, forecaster, revision desc
) n using (run_id, symbol, horizon, forecaster);
comment on view report.forecast_vs_actual is
    'One row per symbol, origin month, horizon and forecaster whose target month has happened: what was said beside what came, as first known; the restated columns say what is known today, and are null where that is the same.';
comment on column report.forecast_vs_actual.is_served is 'True for the forecaster whose numbers were given out.';
comment on column report.forecast_vs_actual.actual_log_return is 'What happened: log return, total, from the end of origin_month to the end of target_month, as known when it was first scored.';
comment on column report.forecast_vs_actual.error is 'Median minus actual, log return.';
comment on column report.forecast_vs_actual.crps is 'Twice the mean pinball loss of the 13 quantiles, log return.';
comment on column report.forecast_vs_actual.winkler_80 is 'Interval score of q10 … q90, log return: its width, plus ten times the miss.';
comment on column report.forecast_vs_actual.winkler_95 is 'Interval score of q025 … q975, log return: its width, plus forty times the miss.';
comment on column report.forecast_vs_actual.scaled_absolute_error is 'Absolute error over the symbol''s mean absolute monthly log return up to the origin; its mean is the MASE.';
comment on column report.forecast_vs_actual.price_actual is 'Value of one share bought at origin_close, dividends reinvested, at the end of target_month.';
comment on column report.forecast_vs_actual.restated_log_return is 'actual_log_return by the prices, splits and dividends as known today; null where it has not changed since.';
comment on column report.forecast_vs_actual.restated_error is 'Median minus restated_log_return.';
comment on column report.forecast_vs_actual.restated_crps is 'crps by restated_log_return.';
comment on column report.forecast_vs_actual.restated_at is 'When the change was found, UTC.';
comment on column report.forecast_vs_actual.sector is 'Sector of the symbol when it was forecast, if the universe file says it.';
comment on column report.forecast_vs_actual.model_version_id is 'Version that made the forecast, see forecast.model_version.';
