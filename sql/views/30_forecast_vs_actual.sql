create view report.forecast_vs_actual as
select
    f.symbol, f.origin_month, f.horizon, f.target_month, f.forecaster, f.is_served,
    f.q025, f.q10, f.q50, f.q90, f.q975,
    e.actual_log_return, e.error, e.crps, e.is_covered_80, e.is_covered_95, e.is_direction_right,
    o.currency_code, o.origin_close,
    o.origin_close * exp(f.q10)               as price_q10,
    o.origin_close * exp(f.q50)               as price_q50,
    o.origin_close * exp(f.q90)               as price_q90,
    o.origin_close * exp(e.actual_log_return) as price_actual,
    abs(e.error) / nullif(o.naive_mae, 0)     as scaled_absolute_error,
    e.scored_at, r.source, r.universe, r.is_retrospective, f.run_id
from report.published_run r
join forecast.forecast f using (run_id)
join forecast.forecast_origin o using (run_id, symbol)
join forecast.forecast_error e using (run_id, symbol, horizon, forecaster);
comment on view report.forecast_vs_actual is
    'One row per symbol, origin month, horizon and forecaster whose target month has happened: what was said beside what came.';
comment on column report.forecast_vs_actual.is_served is 'True for the forecaster whose numbers were given out.';
comment on column report.forecast_vs_actual.error is 'Median minus actual, log return.';
comment on column report.forecast_vs_actual.scaled_absolute_error is 'Absolute error over the symbol''s mean absolute monthly log return up to the origin; its mean is the MASE.';
comment on column report.forecast_vs_actual.price_actual is 'Value of one share bought at origin_close, dividends reinvested, at the end of target_month.';
