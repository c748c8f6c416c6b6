-- Scores by forecaster, horizon and trailing window. Windows count back from the newest scored target month.
create view report.scorecard as
with scored as (
    select v.forecaster as scored_forecaster, v.*, max(target_month) over (partition by source, universe) as newest_month
    from report.forecast_vs_actual v
    union all
    -- `served` is a forecaster of its own here: whichever was given out, month by month.
    select 'served', v.*, max(target_month) over (partition by source, universe)
    from report.forecast_vs_actual v
    where is_served
),
scores as (
    select
        source, universe, scored_forecaster as forecaster, horizon, window_months,
        count(*)                              as forecasts,
        count(distinct target_month)          as months,
        avg(abs(error))                       as mae,
        avg(error * error)                    as mse,
        sqrt(avg(error * error))              as rmse,
        avg(scaled_absolute_error)            as mase,
        avg(crps)                             as crps,
        avg(is_covered_80::integer)           as coverage_80,
        avg(is_covered_95::integer)           as coverage_95,
        avg(is_direction_right::integer)      as hit_rate,
        avg((actual_log_return > 0)::integer) as always_up_rate,
        avg(is_retrospective::integer)        as retrospective_share
    from scored
    join (values (3), (12), (60), (null::integer)) as w (window_months)
        on window_months is null or target_month > newest_month - window_months * interval '1 month'
    group by source, universe, scored_forecaster, horizon, window_months
)
select
    s.*,
    1 - s.crps / nullif(p.crps, 0) as skill_vs_persistence,
    1 - s.crps / nullif(b.crps, 0) as skill_vs_baseline
from scores s
left join scores p
    on p.forecaster = 'persistence' and p.source = s.source and p.universe = s.universe and p.horizon = s.horizon
    and p.window_months is not distinct from s.window_months
left join scores b
    on b.forecaster = 'baseline' and b.source = s.source and b.universe = s.universe and b.horizon = s.horizon
    and b.window_months is not distinct from s.window_months;
comment on view report.scorecard is
    'One row per source, universe, forecaster (served, hybrid, baseline, persistence), horizon and trailing window of target months. Errors are in log return.';
comment on column report.scorecard.window_months is 'Trailing target months counted; null is all of them.';
comment on column report.scorecard.forecasts is 'Forecasts scored.';
comment on column report.scorecard.months is 'Target months scored: the number that says how much evidence there is.';
comment on column report.scorecard.mae is 'Mean absolute error of the median.';
comment on column report.scorecard.mse is 'Mean squared error of the median.';
comment on column report.scorecard.rmse is 'Root of mse.';
comment on column report.scorecard.mase is 'Mean absolute error over each symbol''s mean absolute monthly move up to the origin.';
comment on column report.scorecard.crps is 'Continuous ranked probability score over 13 quantiles; smaller is better.';
comment on column report.scorecard.coverage_80 is 'Share of actuals within the 80 % interval; 0.80 is right.';
comment on column report.scorecard.coverage_95 is 'Share of actuals within the 95 % interval; 0.95 is right.';
comment on column report.scorecard.hit_rate is 'Share of months whose direction the median had right.';
comment on column report.scorecard.always_up_rate is 'Share of months that went up: what saying "up" every time would have had right.';
comment on column report.scorecard.retrospective_share is 'Share of forecasts made over a month after their as_of, by a catch-up run.';
comment on column report.scorecard.skill_vs_persistence is '1 - CRPS / CRPS of the random walk; 0.07 is seven per cent better.';
comment on column report.scorecard.skill_vs_baseline is '1 - CRPS / CRPS of the baseline.';

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
)
select
    source, universe, forecaster, horizon, window_months,
    sum(symbols)                                            as forecasts,
    count(*)                                                as months,
    avg(absolute_error)                                     as mae,
    avg(squared_error)                                      as mse,
    sqrt(avg(squared_error))                                as rmse,
    avg(scaled_absolute_error)                              as mase,
    avg(crps)                                               as crps,
    avg(covered_80)                                         as coverage_80,
    avg(covered_95)                                         as coverage_95,
    avg(direction_right)                                    as hit_rate,
    avg(went_up)                                            as always_up_rate,
    1 - avg(crps) / nullif(avg(persistence_crps), 0)        as skill_vs_persistence,
    1 - avg(crps) / nullif(avg(baseline_crps), 0)           as skill_vs_baseline,
    refit, backtest_id
from scored
join (values (3), (12), (60), (null::integer)) as w (window_months)
    on window_months is null or target_month > newest_month - window_months * interval '1 month'
group by source, universe, refit, backtest_id, forecaster, horizon, window_months;
comment on view report.backtest_scorecard is
    'One row per source, universe, refit, forecaster, horizon and trailing window of target months, of the newest backtest of each: the columns of report.scorecard, but months count equally, however many symbols they have.';
comment on column report.backtest_scorecard.forecaster is 'hybrid, baseline, persistence (random walk), drift (random walk with the mean return), garch or ets.';
comment on column report.backtest_scorecard.refit is 'When hybrid and baseline are trained anew: monthly, yearly or never.';
comment on column report.backtest_scorecard.backtest_id is 'Backtest, see forecast.backtest.';
comment on column report.backtest_scorecard.months is 'Origin months scored: the number that says how much evidence there is.';
comment on column report.backtest_scorecard.skill_vs_persistence is '1 - CRPS / CRPS of the random walk on the same symbols; null without it.';
comment on column report.backtest_scorecard.skill_vs_baseline is '1 - CRPS / CRPS of the baseline on the same symbols; null without it.';
