-- Scored forecasts beside their outcomes.
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
comment on view report.forecast_vs_actual is 'One row per symbol, origin month, horizon and forecaster with a known outcome: the forecast, the outcome as first known and the errors. The restated columns use the outcome known now and are null if it did not change.';
comment on column report.forecast_vs_actual.symbol is 'Symbol, see market.instrument.';
comment on column report.forecast_vs_actual.origin_month is 'Last complete month available to the forecast, first day of the month.';
comment on column report.forecast_vs_actual.horizon is 'Months ahead, 1 to 12.';
comment on column report.forecast_vs_actual.target_month is 'Month at whose end the return is measured, first day of the month.';
comment on column report.forecast_vs_actual.forecaster is 'hybrid, baseline or persistence (random walk).';
comment on column report.forecast_vs_actual.is_served is 'True for the published forecaster.';
comment on column report.forecast_vs_actual.q025 is '2.5 % quantile of the total log return from the end of origin_month to the end of target_month.';
comment on column report.forecast_vs_actual.q10 is '10 % quantile, log return.';
comment on column report.forecast_vs_actual.q50 is 'Median, log return: the point forecast.';
comment on column report.forecast_vs_actual.q90 is '90 % quantile, log return.';
comment on column report.forecast_vs_actual.q975 is '97.5 % quantile, log return.';
comment on column report.forecast_vs_actual.actual_log_return is 'Outcome as known at scored_at: total log return from the end of origin_month to the end of target_month.';
comment on column report.forecast_vs_actual.error is 'Median minus outcome, log return.';
comment on column report.forecast_vs_actual.crps is 'Continuous ranked probability score: twice the mean pinball loss of the 13 quantiles, log return; lower is better.';
comment on column report.forecast_vs_actual.is_covered_80 is 'True if the outcome lies within q10 to q90.';
comment on column report.forecast_vs_actual.is_covered_95 is 'True if the outcome lies within q025 to q975.';
comment on column report.forecast_vs_actual.is_direction_right is 'True if median and outcome are both above zero or both not.';
comment on column report.forecast_vs_actual.winkler_80 is 'Interval score of q10 to q90, log return: the width plus ten times the distance of an outcome outside.';
comment on column report.forecast_vs_actual.winkler_95 is 'Interval score of q025 to q975, log return: the width plus forty times the distance of an outcome outside.';
comment on column report.forecast_vs_actual.currency_code is 'ISO 4217 code of the currency of the prices.';
comment on column report.forecast_vs_actual.origin_close is 'Close of the last session of origin_month, as traded, in currency_code.';
comment on column report.forecast_vs_actual.price_q10 is '10 % quantile of the value, in currency_code, of one share bought at origin_close, dividends reinvested.';
comment on column report.forecast_vs_actual.price_q50 is 'Median of that value, in currency_code.';
comment on column report.forecast_vs_actual.price_q90 is '90 % quantile of that value, in currency_code.';
comment on column report.forecast_vs_actual.price_actual is 'Actual value at the end of target_month, in currency_code, of one share bought at origin_close, dividends reinvested.';
comment on column report.forecast_vs_actual.scaled_absolute_error is 'Absolute error divided by the symbol''s mean absolute monthly log return up to the origin, without unit; its mean is the MASE.';
comment on column report.forecast_vs_actual.scored_at is 'Time of scoring, UTC.';
comment on column report.forecast_vs_actual.restated_log_return is 'Outcome by the prices, splits and dividends known now, log return; null if unchanged.';
comment on column report.forecast_vs_actual.restated_error is 'Median minus restated_log_return, log return.';
comment on column report.forecast_vs_actual.restated_crps is 'CRPS against restated_log_return, log return.';
comment on column report.forecast_vs_actual.restated_at is 'Time of the detection of the restatement, UTC.';
comment on column report.forecast_vs_actual.sector is 'Sector of the symbol in the universe file at the time of the forecast; null if the file has none.';
comment on column report.forecast_vs_actual.model_version_id is 'Version that made the forecast, see forecast.model_version.';
comment on column report.forecast_vs_actual.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.forecast_vs_actual.universe is 'Name of the set of symbols.';
comment on column report.forecast_vs_actual.is_retrospective is 'True if the run started more than 31 days after its as_of.';
comment on column report.forecast_vs_actual.run_id is 'Run that made the forecast, see report.run_history.';
