-- Scores are computed by the program and stored; the database no longer computes any. An upgrade fills the new tables
-- (sql.scores.complete_scores).
alter table forecast.forecast_error
    add column winkler_80 double precision check (winkler_80 >= 0),
    add column winkler_95 double precision check (winkler_95 >= 0);
update forecast.forecast_error e
set winkler_80 = f.q90 - f.q10
        + 2 / (1 - 0.8::double precision) * greatest(f.q10 - e.actual_log_return, e.actual_log_return - f.q90, 0),
    winkler_95 = f.q975 - f.q025
        + 2 / (1 - 0.95::double precision) * greatest(f.q025 - e.actual_log_return, e.actual_log_return - f.q975, 0)
from forecast.forecast f
where f.run_id = e.run_id and f.symbol = e.symbol and f.horizon = e.horizon and f.forecaster = e.forecaster;
alter table forecast.forecast_error
    alter column winkler_80 set not null,
    alter column winkler_95 set not null;
comment on column forecast.forecast_error.winkler_80 is 'Interval score of q10 … q90, log return; smaller is better.';
comment on column forecast.forecast_error.winkler_95 is 'Interval score of q025 … q975, log return; smaller is better.';

drop function forecast.score_month(bigint, smallint);
drop function forecast.winkler(double precision, double precision, double precision, double precision);
drop function if exists report.coverage_p(double precision[], double precision[], double precision, integer);
drop function if exists report.kupiec_p(double precision, double precision, double precision);
drop function if exists report.kupiec_ratio(double precision, double precision, double precision);
drop function if exists report.better_p(double precision[], integer);
drop function if exists report.variance_of_mean(double precision[], integer);
drop function if exists report.student_t_below(double precision, integer);

comment on table forecast.month_score is 'One row per run, horizon, forecaster and symbol group: sums of the errors of one origin month, recomputed by the program whenever forecast.forecast_error or forecast.restated_error gets rows of the run and horizon. Divide by scored for means.';
comment on column forecast.month_score.origin_month is 'Last complete month known to the forecasts.';
comment on column forecast.month_score.forecaster is 'hybrid, baseline or persistence (random walk); served: the served forecaster of each forecast.';
comment on column forecast.month_score.symbol_group is 'all; volatility: low, middle or high (thirds of the run''s symbols by mean absolute monthly log return up to the origin, in runs of nine symbols or more); sector: … from the universe file; exchange: … in runs with several exchanges.';
comment on column forecast.month_score.scored is 'Forecasts with a known outcome. The others are of delisted symbols, or of symbols without usable bars.';
comment on column forecast.month_score.sum_absolute_price_error is 'Sum of |median price - actual price| of one share bought at the origin''s close, dividends reinvested, in currency_code.';
comment on column forecast.month_score.sum_squared_price_error is 'Sum of (median price - actual price)².';
comment on column forecast.month_score.scaled is 'Forecasts in sum_scaled_error: those scored of symbols with a mean absolute monthly log return above zero.';
comment on column forecast.month_score.sum_persistence_crps is 'Sum of the CRPS of the random walk for the same symbols; null where one is missing.';
comment on column forecast.month_score.sum_baseline_crps is 'Sum of the CRPS of the baseline for the same symbols; null where one is missing.';
comment on column forecast.month_score.directions_right is 'Forecasts whose median and actual are both above zero, or neither is.';
comment on column forecast.month_score.rank_ic is 'Spearman correlation of median and actual over the symbols; null with fewer than three symbols, or when either does not vary.';
comment on column forecast.month_score.restated is 'Forecasts whose outcome was restated after the first score.';
comment on column forecast.month_score.sum_absolute_error_now is 'sum_absolute_error with the last known outcomes.';
comment on column forecast.month_score.sum_crps_now is 'sum_crps with the last known outcomes.';

create table forecast.scorecard (
    source                      text not null,
    universe                    text not null,
    model_version_id            bigint references forecast.model_version,
    forecaster                  text not null check (forecaster in ('served', 'hybrid', 'baseline', 'persistence')),
    horizon                     smallint not null check (horizon between 1 and 12),
    symbol_group                text not null,
    window_months               integer check (window_months > 0),
    forecasts                   bigint not null check (forecasts > 0),
    unscored                    bigint not null check (unscored >= 0),
    months                      bigint not null check (months > 0),
    mae                         double precision not null,
    mse                         double precision not null,
    rmse                        double precision not null,
    mae_price                   double precision,
    mse_price                   double precision,
    rmse_price                  double precision,
    currency_code               text,
    mase                        double precision,
    crps                        double precision not null,
    pinball                     double precision not null,
    winkler_80                  double precision not null,
    winkler_95                  double precision not null,
    coverage_80                 numeric not null,
    coverage_95                 numeric not null,
    kupiec_p_80                 double precision,
    kupiec_p_95                 double precision,
    kupiec_p_80_if_independent  double precision not null,
    kupiec_p_95_if_independent  double precision not null,
    hit_rate                    numeric not null,
    always_up_rate              numeric not null,
    skill_vs_persistence        double precision,
    p_vs_persistence            double precision,
    skill_vs_baseline           double precision,
    p_vs_baseline               double precision,
    rank_ic                     double precision,
    restated                    bigint not null,
    mae_restated                double precision not null,
    crps_restated               double precision not null,
    retrospective_share         numeric not null,
    constraint scorecard_key
        unique nulls not distinct (source, universe, model_version_id, forecaster, horizon, symbol_group, window_months)
);
comment on table forecast.scorecard is 'One row per source, universe, model version (null: all versions together), forecaster (served, hybrid, baseline, persistence), horizon, symbol group and trailing window of target months: scores of the runs in force, recomputed by the program with every publication. Errors are log returns, against the first known outcomes. One row per forecaster, horizon and window: model_version_id is null and symbol_group = ''all''.';
comment on column forecast.scorecard.source is 'Source of the bars: sample, file or yahoo.';
comment on column forecast.scorecard.universe is 'Name of the set of symbols, see ops.run.';
comment on column forecast.scorecard.model_version_id is 'Version that made the forecasts, see forecast.model_version; null: all versions together.';
comment on column forecast.scorecard.forecaster is 'hybrid, baseline or persistence (random walk); served: the served forecaster of each month.';
comment on column forecast.scorecard.horizon is 'Months ahead, 1 to 12.';
comment on column forecast.scorecard.symbol_group is 'all; volatility: low, middle or high (thirds of a run''s symbols by mean absolute monthly log return up to the origin, in runs of nine symbols or more); sector: … from the universe file; exchange: … in runs with several exchanges.';
comment on column forecast.scorecard.window_months is 'Trailing target months (3, 12 or 60), back from the newest scored month of the universe; null: all months.';
comment on column forecast.scorecard.forecasts is 'Forecasts scored; means are over these.';
comment on column forecast.scorecard.unscored is 'Forecasts of the same months without a known outcome: delisted symbols, or no usable bars. They are in no mean.';
comment on column forecast.scorecard.months is 'Months scored. The errors of one month move together, so the months measure the evidence.';
comment on column forecast.scorecard.mae is 'Mean absolute error of the median.';
comment on column forecast.scorecard.mse is 'Mean squared error of the median.';
comment on column forecast.scorecard.rmse is 'Square root of mse.';
comment on column forecast.scorecard.mae_price is 'Mean absolute error, in currency_code, of the median value of one share bought at the origin''s close, dividends reinvested. Expensive shares weigh most. Null with several currencies.';
comment on column forecast.scorecard.mse_price is 'Mean squared error of the same value.';
comment on column forecast.scorecard.rmse_price is 'Square root of mse_price.';
comment on column forecast.scorecard.currency_code is 'Currency of the price errors; null with several.';
comment on column forecast.scorecard.mase is 'Mean of the absolute error divided by the symbol''s mean absolute monthly log return up to the origin. Normally above 1 at longer horizons.';
comment on column forecast.scorecard.crps is 'Continuous ranked probability score from the 13 quantiles: twice their mean pinball loss; smaller is better.';
comment on column forecast.scorecard.pinball is 'Mean pinball (quantile) loss of the 13 quantiles: half of crps.';
comment on column forecast.scorecard.winkler_80 is 'Mean Winkler (interval) score of the 80 % interval: its width plus ten times the miss; smaller is better.';
comment on column forecast.scorecard.winkler_95 is 'Mean Winkler (interval) score of the 95 % interval: its width plus forty times the miss; smaller is better.';
comment on column forecast.scorecard.coverage_80 is 'Share of actuals inside the 80 % interval; nominally 0.80.';
comment on column forecast.scorecard.coverage_95 is 'Share of actuals inside the 95 % interval; nominally 0.95.';
comment on column forecast.scorecard.kupiec_p_80 is 'p-value of coverage_80 against 0.80: Kupiec''s likelihood ratio with the number of effectively independent forecasts, because symbols move together and long horizons overlap. Below 0.05 the interval is too narrow or too wide. Null with too few months.';
comment on column forecast.scorecard.kupiec_p_95 is 'The same test of coverage_95 against 0.95.';
comment on column forecast.scorecard.kupiec_p_80_if_independent is 'Kupiec''s p-value of coverage_80 as if all forecasts were independent: far too small with many symbols or long horizons.';
comment on column forecast.scorecard.kupiec_p_95_if_independent is 'The same test of coverage_95 against 0.95.';
comment on column forecast.scorecard.hit_rate is 'Share of forecasts whose median has the right direction.';
comment on column forecast.scorecard.always_up_rate is 'Share of actuals above zero: the hit rate of a forecast that is always up.';
comment on column forecast.scorecard.skill_vs_persistence is '1 - CRPS / CRPS of the random walk for the same symbols; 0.07 is 7 % better.';
comment on column forecast.scorecard.p_vs_persistence is 'One-sided p-value of being better than the random walk (Harvey, Leybourne and Newbold 1997; monthly mean CRPS, horizon - 1 lags). Null with fewer than horizon + 2 months.';
comment on column forecast.scorecard.skill_vs_baseline is '1 - CRPS / CRPS of the baseline for the same symbols.';
comment on column forecast.scorecard.p_vs_baseline is 'One-sided p-value of being better than the baseline; null with fewer than horizon + 2 months.';
comment on column forecast.scorecard.rank_ic is 'Rank information coefficient: Spearman correlation of median and actual over the symbols of a month, mean of the months that have one. Null if none has: fewer than three symbols, or equal medians.';
comment on column forecast.scorecard.restated is 'Forecasts whose outcome was restated after the first score.';
comment on column forecast.scorecard.mae_restated is 'mae with the last known outcomes.';
comment on column forecast.scorecard.crps_restated is 'crps with the last known outcomes.';
comment on column forecast.scorecard.retrospective_share is 'Share of forecasts made more than a month after their as_of, by a catch-up run.';

create table forecast.backtest_scorecard (
    source                      text not null,
    universe                    text not null,
    forecaster                  text not null check (forecaster in ('hybrid', 'baseline', 'persistence', 'drift', 'garch', 'ets')),
    horizon                     smallint not null check (horizon between 1 and 12),
    window_months               integer check (window_months > 0),
    forecasts                   bigint not null check (forecasts > 0),
    months                      bigint not null check (months > 0),
    mae                         double precision,
    mse                         double precision,
    rmse                        double precision,
    mase                        double precision,
    crps                        double precision not null,
    pinball                     double precision not null,
    winkler_80                  double precision,
    winkler_95                  double precision,
    coverage_80                 double precision not null,
    coverage_95                 double precision not null,
    kupiec_p_80                 double precision,
    kupiec_p_95                 double precision,
    kupiec_p_80_if_independent  double precision not null,
    kupiec_p_95_if_independent  double precision not null,
    hit_rate                    double precision,
    always_up_rate              double precision,
    skill_vs_persistence        double precision,
    p_vs_persistence            double precision,
    skill_vs_baseline           double precision,
    p_vs_baseline               double precision,
    rank_ic                     double precision,
    refit                       text not null check (refit in ('monthly', 'yearly', 'never')),
    backtest_id                 bigint not null references forecast.backtest,
    constraint backtest_scorecard_key unique nulls not distinct (backtest_id, forecaster, horizon, window_months)
);
comment on table forecast.backtest_scorecard is 'One row per backtest, forecaster, horizon and trailing window of target months, computed by the program from the rows of forecast.backtest_error. Columns as in forecast.scorecard, but months count equally, however many symbols they have.';
comment on column forecast.backtest_scorecard.source is 'Source of the bars, as in forecast.backtest.';
comment on column forecast.backtest_scorecard.universe is 'Name of the set of symbols, as in forecast.backtest.';
comment on column forecast.backtest_scorecard.forecaster is 'hybrid, baseline, persistence (random walk), drift (random walk with the mean return), garch or ets.';
comment on column forecast.backtest_scorecard.horizon is 'Months ahead, 1 to 12.';
comment on column forecast.backtest_scorecard.window_months is 'Trailing target months (3, 12 or 60), back from the newest one of the backtest; null: all months.';
comment on column forecast.backtest_scorecard.forecasts is 'Forecasts scored.';
comment on column forecast.backtest_scorecard.months is 'Origin months scored; means are over these.';
comment on column forecast.backtest_scorecard.mae is 'Mean absolute error of the median.';
comment on column forecast.backtest_scorecard.mse is 'Mean squared error of the median.';
comment on column forecast.backtest_scorecard.rmse is 'Square root of mse.';
comment on column forecast.backtest_scorecard.mase is 'As in forecast.scorecard.';
comment on column forecast.backtest_scorecard.crps is 'As in forecast.scorecard.';
comment on column forecast.backtest_scorecard.pinball is 'Half of crps.';
comment on column forecast.backtest_scorecard.winkler_80 is 'As in forecast.scorecard; null for older backtests, which did not store it, as are winkler_95 and rank_ic.';
comment on column forecast.backtest_scorecard.winkler_95 is 'As in forecast.scorecard.';
comment on column forecast.backtest_scorecard.coverage_80 is 'Share of actuals inside the 80 % interval, mean of the months.';
comment on column forecast.backtest_scorecard.coverage_95 is 'Share of actuals inside the 95 % interval, mean of the months.';
comment on column forecast.backtest_scorecard.kupiec_p_80 is 'As in forecast.scorecard, of all forecasts together, not of the mean of the months.';
comment on column forecast.backtest_scorecard.kupiec_p_95 is 'The same test against 0.95.';
comment on column forecast.backtest_scorecard.kupiec_p_80_if_independent is 'As in forecast.scorecard.';
comment on column forecast.backtest_scorecard.kupiec_p_95_if_independent is 'As in forecast.scorecard.';
comment on column forecast.backtest_scorecard.hit_rate is 'Share of forecasts whose median has the right direction, mean of the months.';
comment on column forecast.backtest_scorecard.always_up_rate is 'Share of actuals above zero, mean of the months.';
comment on column forecast.backtest_scorecard.skill_vs_persistence is '1 - CRPS / CRPS of the random walk for the same symbols; null without a random walk.';
comment on column forecast.backtest_scorecard.p_vs_persistence is 'One-sided p-value of being better than the random walk (Harvey, Leybourne and Newbold 1997); null with fewer than horizon + 2 months.';
comment on column forecast.backtest_scorecard.skill_vs_baseline is '1 - CRPS / CRPS of the baseline for the same symbols; null without a baseline.';
comment on column forecast.backtest_scorecard.p_vs_baseline is 'One-sided p-value of being better than the baseline; null with fewer than horizon + 2 months.';
comment on column forecast.backtest_scorecard.rank_ic is 'As in forecast.scorecard.';
comment on column forecast.backtest_scorecard.refit is 'When hybrid and baseline were trained again: monthly, yearly or never.';
comment on column forecast.backtest_scorecard.backtest_id is 'Backtest, see forecast.backtest.';
