-- Scores by model version, forecaster, horizon, group of symbols and trailing window. docs/scores.md explains every column.
create view report.scorecard as
with newest as (
    select r.source, r.universe, max(c.target_month) as newest_month
    from report.published_run r
    join forecast.month_score c using (run_id)
    where c.symbol_group = 'all'
    group by r.source, r.universe
),
total as (
    select
        r.source, r.universe, v.model_version_id, c.forecaster, c.horizon, c.symbol_group, w.window_months,
        sum(c.scored)                                                as forecasts,
        sum(c.forecasts - c.scored)                                  as unscored,
        count(*)                                                     as months,
        sum(c.sum_absolute_error)                                    as absolute_error,
        sum(c.sum_squared_error)                                     as squared_error,
        sum(c.sum_absolute_price_error)                              as absolute_price_error,
        sum(c.sum_squared_price_error)                               as squared_price_error,
        case when min(c.currency_code) = max(c.currency_code) and count(c.currency_code) = count(*) then min(c.currency_code) end
            as currency_code,
        sum(c.sum_scaled_error) / nullif(sum(c.scaled), 0)           as mase,
        sum(c.sum_crps)                                              as crps,
        sum(c.sum_winkler_80)                                        as winkler_80,
        sum(c.sum_winkler_95)                                        as winkler_95,
        sum(c.covered_80)                                            as covered_80,
        sum(c.covered_95)                                            as covered_95,
        array_agg(c.covered_80 order by c.origin_month)              as covered_80_by_month,
        array_agg(c.covered_95 order by c.origin_month)              as covered_95_by_month,
        array_agg(c.scored order by c.origin_month)                  as scored_by_month,
        sum(c.directions_right)                                      as directions_right,
        sum(c.went_up)                                               as went_up,
        1 - sum(c.sum_crps) filter (where c.sum_persistence_crps is not null) / nullif(sum(c.sum_persistence_crps), 0)
            as skill_vs_persistence,
        array_agg((c.sum_crps - c.sum_persistence_crps) / c.scored order by c.origin_month)
            filter (where c.forecaster <> 'persistence' and c.sum_persistence_crps is not null) as persistence_differences,
        1 - sum(c.sum_crps) filter (where c.sum_baseline_crps is not null) / nullif(sum(c.sum_baseline_crps), 0)
            as skill_vs_baseline,
        array_agg((c.sum_crps - c.sum_baseline_crps) / c.scored order by c.origin_month)
            filter (where c.forecaster <> 'baseline' and c.sum_baseline_crps is not null) as baseline_differences,
        avg(c.rank_ic)                                               as rank_ic,
        sum(c.restated)                                              as restated,
        sum(c.sum_absolute_error_now)                                as absolute_error_now,
        sum(c.sum_crps_now)                                          as crps_now,
        sum(c.scored) filter (where r.is_retrospective)              as retrospective
    from report.published_run r
    join newest using (source, universe)
    join forecast.month_score c using (run_id)
    -- Every version alone, and all of them together.
    cross join lateral (values (c.model_version_id), (null)) as v (model_version_id)
    join (values (3), (12), (60), (null::integer)) as w (window_months)
        on w.window_months is null or c.target_month > newest.newest_month - w.window_months * interval '1 month'
    group by r.source, r.universe, v.model_version_id, c.forecaster, c.horizon, c.symbol_group, w.window_months
)
select
    source, universe, model_version_id, forecaster, horizon, symbol_group, window_months,
    forecasts, unscored, months,
    absolute_error / forecasts                                                       as mae,
    squared_error / forecasts                                                        as mse,
    sqrt(squared_error / forecasts)                                                  as rmse,
    case when currency_code is not null then absolute_price_error / forecasts end      as mae_price,
    case when currency_code is not null then squared_price_error / forecasts end       as mse_price,
    case when currency_code is not null then sqrt(squared_price_error / forecasts) end as rmse_price,
    currency_code,
    mase,
    crps / forecasts                                                                 as crps,
    crps / forecasts / 2                                                             as pinball,
    winkler_80 / forecasts                                                           as winkler_80,
    winkler_95 / forecasts                                                           as winkler_95,
    covered_80::numeric / forecasts                                                  as coverage_80,
    covered_95::numeric / forecasts                                                  as coverage_95,
    report.coverage_p(covered_80_by_month, scored_by_month, 0.8, horizon)            as kupiec_p_80,
    report.coverage_p(covered_95_by_month, scored_by_month, 0.95, horizon)           as kupiec_p_95,
    report.kupiec_p(covered_80::double precision / forecasts, forecasts, 0.8)        as kupiec_p_80_if_independent,
    report.kupiec_p(covered_95::double precision / forecasts, forecasts, 0.95)       as kupiec_p_95_if_independent,
    directions_right::numeric / forecasts                                            as hit_rate,
    went_up::numeric / forecasts                                                     as always_up_rate,
    skill_vs_persistence,
    report.better_p(persistence_differences, horizon)                                as p_vs_persistence,
    skill_vs_baseline,
    report.better_p(baseline_differences, horizon)                                   as p_vs_baseline,
    rank_ic,
    restated,
    absolute_error_now / forecasts                                                   as mae_restated,
    crps_now / forecasts                                                             as crps_restated,
    coalesce(retrospective, 0)::numeric / forecasts                                  as retrospective_share
from total;
comment on view report.scorecard is
    'One row per source, universe, model version (null: all of them together), forecaster (served, hybrid, baseline, persistence), horizon, group of symbols and trailing window of target months. Errors are in log return and as first known. For one row a forecaster, horizon and window: where model_version_id is null and symbol_group = ''all''.';
comment on column report.scorecard.model_version_id is 'Version that made the forecasts, see forecast.model_version; null is all versions together.';
comment on column report.scorecard.forecaster is 'hybrid, baseline or persistence (random walk); served is whichever was given out, month by month.';
comment on column report.scorecard.symbol_group is 'all; volatility: low, middle or high (thirds of a month''s symbols by their mean absolute monthly log return up to the origin); sector: …; exchange: … (where there are several).';
comment on column report.scorecard.window_months is 'Trailing target months counted, back from the universe''s newest scored month; null is all of them.';
comment on column report.scorecard.forecasts is 'Forecasts scored: every mean here is over these.';
comment on column report.scorecard.unscored is 'Forecasts of the same months whose outcome is not known, as of symbols delisted since or without bars that can be trusted. They are in no mean.';
comment on column report.scorecard.months is 'Months scored: the number that says how much evidence there is, as the errors of one month move together.';
comment on column report.scorecard.mae is 'Mean absolute error of the median.';
comment on column report.scorecard.mse is 'Mean squared error of the median.';
comment on column report.scorecard.rmse is 'Root of mse.';
comment on column report.scorecard.mae_price is 'Mean absolute error, in currency_code, of the median value of one share bought at the origin''s close, dividends reinvested. Dear shares count most. Null where there are several currencies.';
comment on column report.scorecard.mse_price is 'Mean squared error of the same.';
comment on column report.scorecard.rmse_price is 'Root of mse_price.';
comment on column report.scorecard.currency_code is 'Currency of the price errors.';
comment on column report.scorecard.mase is 'Mean absolute error over each symbol''s mean absolute monthly move up to the origin; at longer horizons above 1 by nature.';
comment on column report.scorecard.crps is 'Continuous ranked probability score from the 13 quantiles, that is twice their mean pinball loss; smaller is better.';
comment on column report.scorecard.pinball is 'Mean pinball (quantile) loss over the 13 quantiles: half of crps.';
comment on column report.scorecard.winkler_80 is 'Mean Winkler (interval) score of the 80 % interval: its width, plus ten times the miss; smaller is better.';
comment on column report.scorecard.winkler_95 is 'Mean Winkler (interval) score of the 95 % interval: its width, plus forty times the miss.';
comment on column report.scorecard.coverage_80 is 'Share of actuals within the 80 % interval; 0.80 is right.';
comment on column report.scorecard.coverage_95 is 'Share of actuals within the 95 % interval; 0.95 is right.';
comment on column report.scorecard.kupiec_p_80 is 'p-value that coverage_80 is off 0.80 by luck alone: Kupiec''s likelihood ratio with the forecasts counted as the independent ones they are worth, for symbols of one month move together and longer horizons overlap. Below 0.05: the interval is too narrow or too wide. Null with too few months.';
comment on column report.scorecard.kupiec_p_95 is 'The same for coverage_95 and 0.95.';
comment on column report.scorecard.kupiec_p_80_if_independent is 'Kupiec''s p-value by the book, as if every forecast were independent of the others. With many symbols or longer horizons it is far too small.';
comment on column report.scorecard.kupiec_p_95_if_independent is 'The same for coverage_95 and 0.95.';
comment on column report.scorecard.hit_rate is 'Share of forecasts whose median had the direction right.';
comment on column report.scorecard.always_up_rate is 'Share of actuals above zero: what saying "up" every time would have had right.';
comment on column report.scorecard.skill_vs_persistence is '1 - CRPS / CRPS of the random walk for the same symbols; 0.07 is seven per cent better.';
comment on column report.scorecard.p_vs_persistence is 'One-sided p-value of having been better than the random walk by luck alone (Harvey, Leybourne and Newbold 1997; monthly mean CRPS, horizon - 1 lags). Null with fewer than horizon + 2 months.';
comment on column report.scorecard.skill_vs_baseline is '1 - CRPS / CRPS of the baseline for the same symbols.';
comment on column report.scorecard.p_vs_baseline is 'The same against the baseline.';
comment on column report.scorecard.rank_ic is 'Rank information coefficient: Spearman correlation of median and actual over a month''s symbols, mean of the months that have one. Null where no month has three symbols, or medians do not differ.';
comment on column report.scorecard.restated is 'Forecasts whose outcome has been restated since it was first scored.';
comment on column report.scorecard.mae_restated is 'mae by what is known of prices today.';
comment on column report.scorecard.crps_restated is 'crps by what is known of prices today.';
comment on column report.scorecard.retrospective_share is 'Share of forecasts made over a month after their as_of, by a catch-up run.';

-- The same of backtests. A view of its own, so that whoever reads `scorecard` reads what was said in time.
create view report.backtest_scorecard as
with newest as (
    select distinct on (source, universe, refit) backtest_id, source, universe, refit
    from forecast.backtest
    order by source, universe, refit, backtest_id desc
),
scored as (
    select
        n.source, n.universe, n.refit, e.*, (e.origin_month + e.horizon * interval '1 month')::date as target_month,
        max((e.origin_month + e.horizon * interval '1 month')::date) over (partition by n.backtest_id) as newest_month
    from newest n
    join forecast.backtest_error e using (backtest_id)
),
total as (
    select
        source, universe, refit, backtest_id, forecaster, horizon, window_months,
        sum(symbols)               as forecasts,
        count(*)                   as months,
        avg(absolute_error)        as mae,
        avg(squared_error)         as mse,
        avg(scaled_absolute_error) as mase,
        avg(crps)                  as crps,
        avg(winkler_80)            as winkler_80,
        avg(winkler_95)            as winkler_95,
        avg(covered_80)            as coverage_80,
        avg(covered_95)            as coverage_95,
        sum(covered_80 * symbols) / sum(symbols) as share_80,
        sum(covered_95 * symbols) / sum(symbols) as share_95,
        array_agg(covered_80 * symbols order by origin_month) as covered_80_by_month,
        array_agg(covered_95 * symbols order by origin_month) as covered_95_by_month,
        array_agg(symbols order by origin_month)              as scored_by_month,
        avg(direction_right)       as hit_rate,
        avg(went_up)               as always_up_rate,
        1 - avg(crps) / nullif(avg(persistence_crps), 0) as skill_vs_persistence,
        array_agg(crps - persistence_crps order by origin_month)
            filter (where forecaster <> 'persistence' and persistence_crps is not null) as persistence_differences,
        1 - avg(crps) / nullif(avg(baseline_crps), 0)    as skill_vs_baseline,
        array_agg(crps - baseline_crps order by origin_month)
            filter (where forecaster <> 'baseline' and baseline_crps is not null) as baseline_differences,
        avg(rank_ic)               as rank_ic
    from scored
    join (values (3), (12), (60), (null::integer)) as w (window_months)
        on window_months is null or target_month > newest_month - window_months * interval '1 month'
    group by source, universe, refit, backtest_id, forecaster, horizon, window_months
)
select
    source, universe, forecaster, horizon, window_months, forecasts, months,
    mae, mse, sqrt(mse) as rmse, mase, crps, crps / 2 as pinball, winkler_80, winkler_95, coverage_80, coverage_95,
    report.coverage_p(covered_80_by_month, scored_by_month, 0.8, horizon)  as kupiec_p_80,
    report.coverage_p(covered_95_by_month, scored_by_month, 0.95, horizon) as kupiec_p_95,
    report.kupiec_p(share_80, forecasts, 0.8)                              as kupiec_p_80_if_independent,
    report.kupiec_p(share_95, forecasts, 0.95)                             as kupiec_p_95_if_independent,
    hit_rate, always_up_rate,
    skill_vs_persistence,
    report.better_p(persistence_differences, horizon)                      as p_vs_persistence,
    skill_vs_baseline,
    report.better_p(baseline_differences, horizon)                         as p_vs_baseline,
    rank_ic, refit, backtest_id
from total;
comment on view report.backtest_scorecard is
    'One row per source, universe, refit, forecaster, horizon and trailing window of target months, of the newest backtest of each: columns as in report.scorecard, but months count equally, however many symbols they have.';
comment on column report.backtest_scorecard.forecaster is 'hybrid, baseline, persistence (random walk), drift (random walk with the mean return), garch or ets.';
comment on column report.backtest_scorecard.refit is 'When hybrid and baseline are trained anew: monthly, yearly or never.';
comment on column report.backtest_scorecard.backtest_id is 'Backtest, see forecast.backtest.';
comment on column report.backtest_scorecard.months is 'Origin months scored: the number that says how much evidence there is.';
comment on column report.backtest_scorecard.winkler_80 is 'As in report.scorecard; null in backtests made before it was kept, as winkler_95 and rank_ic.';
comment on column report.backtest_scorecard.kupiec_p_80 is 'As in report.scorecard, of all forecasts together rather than the mean of the months.';
comment on column report.backtest_scorecard.skill_vs_persistence is '1 - CRPS / CRPS of the random walk on the same symbols; null without it.';
comment on column report.backtest_scorecard.p_vs_persistence is 'One-sided p-value of Harvey, Leybourne and Newbold of having been better than the random walk by luck alone; null with fewer than horizon + 2 months.';
comment on column report.backtest_scorecard.skill_vs_baseline is '1 - CRPS / CRPS of the baseline on the same symbols; null without it.';
comment on column report.scorecard.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.scorecard.universe is 'Name of the set of symbols.';
comment on column report.scorecard.horizon is 'Months ahead, 1 to 12.';
comment on column report.backtest_scorecard.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.backtest_scorecard.universe is 'Name of the set of symbols.';
comment on column report.backtest_scorecard.horizon is 'Months ahead, 1 to 12.';
comment on column report.backtest_scorecard.window_months is 'Number of trailing target months, back from the newest one; null is all of them.';
comment on column report.backtest_scorecard.forecasts is 'Number of forecasts scored.';
comment on column report.backtest_scorecard.mae is 'Mean absolute error of the median, log return.';
comment on column report.backtest_scorecard.mse is 'Mean squared error of the median, squared log return.';
comment on column report.backtest_scorecard.rmse is 'Square root of mse, log return.';
comment on column report.backtest_scorecard.mase is 'Mean absolute error divided by the symbol''s mean absolute monthly log return up to the origin, without unit.';
comment on column report.backtest_scorecard.crps is 'Continuous ranked probability score of the 13 quantiles, log return; lower is better.';
comment on column report.backtest_scorecard.pinball is 'Mean pinball loss over the 13 quantiles, log return: half of crps.';
comment on column report.backtest_scorecard.winkler_95 is 'Mean interval score of q025 to q975, log return; null in older backtests.';
comment on column report.backtest_scorecard.coverage_80 is 'Share of outcomes within q10 to q90, 0 to 1; 0.80 is correct.';
comment on column report.backtest_scorecard.coverage_95 is 'Share of outcomes within q025 to q975, 0 to 1; 0.95 is correct.';
comment on column report.backtest_scorecard.kupiec_p_95 is 'p-value of coverage_95, as kupiec_p_80, 0 to 1.';
comment on column report.backtest_scorecard.kupiec_p_80_if_independent is 'Kupiec''s p-value of coverage_80 under independence of all forecasts, 0 to 1.';
comment on column report.backtest_scorecard.kupiec_p_95_if_independent is 'Kupiec''s p-value of coverage_95 under independence of all forecasts, 0 to 1.';
comment on column report.backtest_scorecard.hit_rate is 'Share of medians with the right direction, 0 to 1.';
comment on column report.backtest_scorecard.always_up_rate is 'Share of outcomes above zero, 0 to 1.';
comment on column report.backtest_scorecard.p_vs_baseline is 'As p_vs_persistence, against the baseline, 0 to 1.';
comment on column report.backtest_scorecard.rank_ic is 'Mean over months of the Spearman correlation of median and outcome, -1 to 1; null without one.';
