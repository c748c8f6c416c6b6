-- Scores: errors with restated prices beside the first ones, scores by month and group of symbols, and what p-values need.
alter table forecast.forecast_origin add column sector text;
comment on column forecast.forecast_origin.sector is 'Sector of the symbol, as the universe file said when the forecast was made; null where it says none.';

create table forecast.restated_error (
    run_id              bigint not null,
    symbol              text not null,
    horizon             smallint not null,
    forecaster          text not null,
    revision            integer not null check (revision > 0),
    actual_log_return   double precision not null,
    error               double precision not null,
    crps                double precision not null check (crps >= 0),
    is_covered_80       boolean not null,
    is_covered_95       boolean not null,
    is_direction_right  boolean not null,
    scored_by_run_id    bigint not null references ops.run,
    scored_at           timestamptz not null,
    primary key (run_id, symbol, horizon, forecaster, revision),
    foreign key (run_id, symbol, horizon, forecaster) references forecast.forecast_error
);
comment on table forecast.restated_error is 'One row per forecast, forecaster and restatement of what happened: the error by the prices as known later. The first error stays in forecast.forecast_error. Never changed once written.';
comment on column forecast.restated_error.run_id is 'Run that made the forecast.';
comment on column forecast.restated_error.symbol is 'Symbol, see market.instrument.';
comment on column forecast.restated_error.horizon is 'Months ahead, 1 to 12.';
comment on column forecast.restated_error.forecaster is 'hybrid, baseline or persistence.';
comment on column forecast.restated_error.revision is '1 for the first restatement of this outcome, 2 for the next; the highest is what is known today.';
comment on column forecast.restated_error.actual_log_return is 'What happened, by the prices, splits and dividends as known then: log return, total, over the horizon.';
comment on column forecast.restated_error.error is 'Median minus actual, log return.';
comment on column forecast.restated_error.crps is 'As in forecast.forecast_error.';
comment on column forecast.restated_error.is_covered_80 is 'Actual within q10 … q90.';
comment on column forecast.restated_error.is_covered_95 is 'Actual within q025 … q975.';
comment on column forecast.restated_error.is_direction_right is 'Median and actual are both above zero, or neither is.';
comment on column forecast.restated_error.scored_by_run_id is 'Run that found the outcome changed.';
comment on column forecast.restated_error.scored_at is 'When it did, UTC.';

alter table forecast.backtest_error
    add column winkler_80 double precision check (winkler_80 >= 0),
    add column winkler_95 double precision check (winkler_95 >= 0),
    add column rank_ic    double precision check (rank_ic between -1.000001 and 1.000001);
comment on column forecast.backtest_error.winkler_80 is 'Mean interval score of q10 … q90, log return; null in backtests made before it was kept, as the two following.';
comment on column forecast.backtest_error.winkler_95 is 'Mean interval score of q025 … q975, log return.';
comment on column forecast.backtest_error.rank_ic is 'Spearman correlation of median and actual over the symbols; null with fewer than three, or when either does not vary.';

create table forecast.month_score (
    run_id                    bigint not null references ops.run,
    model_version_id          bigint not null references forecast.model_version,
    origin_month              date not null,
    horizon                   smallint not null check (horizon between 1 and 12),
    target_month              date not null,
    forecaster                text not null check (forecaster in ('served', 'hybrid', 'baseline', 'persistence')),
    symbol_group              text not null,
    forecasts                 integer not null check (forecasts >= scored),
    scored                    integer not null check (scored > 0),
    currency_code             text,
    sum_absolute_error        double precision not null,
    sum_squared_error         double precision not null,
    sum_absolute_price_error  double precision not null,
    sum_squared_price_error   double precision not null,
    scaled                    integer not null,
    sum_scaled_error          double precision not null,
    sum_crps                  double precision not null,
    sum_persistence_crps      double precision,
    sum_baseline_crps         double precision,
    sum_winkler_80            double precision not null,
    sum_winkler_95            double precision not null,
    covered_80                integer not null,
    covered_95                integer not null,
    directions_right          integer not null,
    went_up                   integer not null,
    rank_ic                   double precision,
    restated                  integer not null,
    sum_absolute_error_now    double precision not null,
    sum_crps_now              double precision not null,
    primary key (run_id, horizon, forecaster, symbol_group)
);
comment on table forecast.month_score is 'One row per run, horizon, forecaster and group of symbols: what the errors of one origin month add up to, made from forecast.forecast_error by forecast.score_month whenever errors are written. Means are sums over scored.';
comment on column forecast.month_score.run_id is 'Run that made the forecasts.';
comment on column forecast.month_score.model_version_id is 'Version that made the forecasts.';
comment on column forecast.month_score.origin_month is 'Last complete month the forecasts saw.';
comment on column forecast.month_score.horizon is 'Months ahead.';
comment on column forecast.month_score.target_month is 'Month at whose end the return is measured.';
comment on column forecast.month_score.forecaster is 'hybrid, baseline or persistence; served: whichever was given out.';
comment on column forecast.month_score.symbol_group is 'all; volatility: low, middle or high (thirds of the run''s symbols by their mean absolute monthly log return up to the origin, from nine symbols on); sector: …, where the universe file says it; exchange: …, where the run had several.';
comment on column forecast.month_score.forecasts is 'Forecasts made.';
comment on column forecast.month_score.scored is 'Forecasts whose outcome is known; the others are of symbols delisted, or without bars that can be trusted.';
comment on column forecast.month_score.currency_code is 'Currency of the price errors; null when the symbols have several.';
comment on column forecast.month_score.sum_absolute_error is 'Sum of |median - actual|, log return.';
comment on column forecast.month_score.sum_squared_error is 'Sum of (median - actual)², log return.';
comment on column forecast.month_score.sum_absolute_price_error is 'Sum of |median price - actual price|, of one share bought at the origin''s close, dividends reinvested, in the symbol''s currency.';
comment on column forecast.month_score.sum_squared_price_error is 'Sum of the squares of the same.';
comment on column forecast.month_score.scaled is 'Forecasts scored of symbols that had ever moved: those in sum_scaled_error.';
comment on column forecast.month_score.sum_scaled_error is 'Sum of |median - actual| over the symbol''s mean absolute monthly log return up to the origin.';
comment on column forecast.month_score.sum_crps is 'Sum of the CRPS, log return.';
comment on column forecast.month_score.sum_persistence_crps is 'The same of the random walk, for the very same symbols; null where it lacks one.';
comment on column forecast.month_score.sum_baseline_crps is 'The same of the baseline.';
comment on column forecast.month_score.sum_winkler_80 is 'Sum of the interval scores of q10 … q90, log return.';
comment on column forecast.month_score.sum_winkler_95 is 'Sum of the interval scores of q025 … q975, log return.';
comment on column forecast.month_score.covered_80 is 'Actuals within q10 … q90.';
comment on column forecast.month_score.covered_95 is 'Actuals within q025 … q975.';
comment on column forecast.month_score.directions_right is 'Medians that had the direction right.';
comment on column forecast.month_score.went_up is 'Actuals above zero.';
comment on column forecast.month_score.rank_ic is 'Spearman correlation of median and actual over the symbols; null with fewer than three, or when either does not vary.';
comment on column forecast.month_score.restated is 'Forecasts whose outcome has been restated since it was first scored.';
comment on column forecast.month_score.sum_absolute_error_now is 'sum_absolute_error by what is known today.';
comment on column forecast.month_score.sum_crps_now is 'sum_crps by what is known today.';

create function forecast.winkler(actual double precision, lower double precision, upper double precision, level double precision)
returns double precision language sql immutable as $$
    -- `greatest` passes over nulls, and a score without an outcome is none.
    select case when actual is not null then upper - lower + 2 / (1 - level) * greatest(lower - actual, actual - upper, 0) end
$$;
comment on function forecast.winkler is 'Interval score of the central interval lower … upper that is meant to hold `level` of the actuals (Gneiting and Raftery 2007, eq. 43).';

create function forecast.score_month(of_run bigint, of_horizon smallint)
returns setof forecast.month_score language sql stable as $$
    with member as (
        select
            o.symbol, o.model_version_id, o.origin_close, o.currency_code, o.naive_mae, o.sector, i.exchange_mic,
            ntile(3) over (order by o.naive_mae, o.symbol) as third,
            count(*) over () as symbols,
            min(i.exchange_mic) over () <> max(i.exchange_mic) over () as has_exchanges
        from forecast.forecast_origin o
        left join market.instrument i using (symbol)
        where o.run_id = of_run
    ),
    said as (
        select
            m.model_version_id, f.origin_month, f.target_month, f.symbol, f.forecaster, f.is_served, f.q50, m.currency_code,
            e.actual_log_return, e.error, e.crps, e.is_covered_80, e.is_covered_95, e.is_direction_right,
            m.origin_close * (exp(f.q50) - exp(e.actual_log_return)) as price_error,
            abs(e.error) / nullif(m.naive_mae, 0) as scaled_error,
            forecast.winkler(e.actual_log_return, f.q10, f.q90, 0.8) as winkler_80,
            forecast.winkler(e.actual_log_return, f.q025, f.q975, 0.95) as winkler_95,
            min(e.crps) filter (where f.forecaster = 'persistence') over (partition by f.symbol) as persistence_crps,
            min(e.crps) filter (where f.forecaster = 'baseline') over (partition by f.symbol) as baseline_crps,
            now.revision is not null as is_restated,
            coalesce(now.error, e.error) as error_now,
            coalesce(now.crps, e.crps) as crps_now,
            array_remove(array[
                'all',
                case when m.symbols >= 9 then 'volatility: ' || (array['low', 'middle', 'high'])[m.third] end,
                'sector: ' || m.sector,
                case when m.has_exchanges then 'exchange: ' || m.exchange_mic end
            ], null) as symbol_groups
        from forecast.forecast f
        join member m using (symbol)
        left join forecast.forecast_error e using (run_id, symbol, horizon, forecaster)
        left join lateral (
            select r.revision, r.error, r.crps
            from forecast.restated_error r
            where r.run_id = of_run and r.symbol = f.symbol and r.horizon = of_horizon and r.forecaster = f.forecaster
            order by r.revision desc
            limit 1
        ) now on true
        where f.run_id = of_run and f.horizon = of_horizon
    ),
    ranked as (
        -- Equal values share the mean of their ranks. Forecasts without an outcome are ranked apart, and not counted.
        select
            s.*, n.name as scored_forecaster, g.symbol_group,
            rank() over (own order by s.q50)
                + (count(*) over (partition by n.name, g.symbol_group, s.actual_log_return is null, s.q50) - 1) / 2.0 as q50_rank,
            rank() over (own order by s.actual_log_return)
                + (count(*) over (partition by n.name, g.symbol_group, s.actual_log_return) - 1) / 2.0 as actual_rank
        from said s
        cross join lateral (values (s.forecaster), (case when s.is_served then 'served' end)) as n (name)
        cross join lateral unnest(s.symbol_groups) as g (symbol_group)
        where n.name is not null
        window own as (partition by n.name, g.symbol_group, s.actual_log_return is null)
    )
    select
        of_run, min(model_version_id), min(origin_month), of_horizon, min(target_month), scored_forecaster, symbol_group,
        count(*)::integer, count(error)::integer,
        case when min(currency_code) filter (where error is not null) = max(currency_code) filter (where error is not null)
            then min(currency_code) filter (where error is not null) end,
        sum(abs(error)), sum(error * error), sum(abs(price_error)), sum(price_error * price_error),
        count(scaled_error)::integer, coalesce(sum(scaled_error), 0),
        sum(crps),
        case when count(persistence_crps) = count(*) filter (where error is not null) then sum(persistence_crps) end,
        case when count(baseline_crps) = count(*) filter (where error is not null) then sum(baseline_crps) end,
        sum(winkler_80), sum(winkler_95),
        count(*) filter (where is_covered_80)::integer, count(*) filter (where is_covered_95)::integer,
        count(*) filter (where is_direction_right)::integer, count(*) filter (where actual_log_return > 0)::integer,
        case when count(error) >= 3 then corr(q50_rank, actual_rank) filter (where error is not null) end,
        count(*) filter (where is_restated)::integer, sum(abs(error_now)), sum(crps_now)
    from ranked
    group by scored_forecaster, symbol_group
    having count(error) > 0
$$;
comment on function forecast.score_month is 'The rows of forecast.month_score that the errors of one run and horizon add up to.';

-- What has been scored so far.
insert into forecast.month_score
select s.*
from (select distinct run_id, horizon from forecast.forecast_error) as e
cross join lateral forecast.score_month(e.run_id, e.horizon) as s;
