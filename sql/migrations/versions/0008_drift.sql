-- What the watch for drift holds against what, month by month.
create table forecast.watch_reference (
    model_version_id  bigint not null references forecast.model_version,
    forecaster        text not null check (forecaster in ('hybrid', 'baseline')),
    origin_month      date not null check (extract(day from origin_month) = 1),
    horizon           smallint not null check (horizon between 1 and 12),
    measure           text not null,
    symbols           integer not null check (symbols > 0),
    value             double precision not null,
    primary key (model_version_id, forecaster, origin_month, horizon, measure)
);
comment on table forecast.watch_reference is 'One row per model version, forecaster, origin month, horizon and measure: what was usual of the model when it was new, on months that it was fitted or judged on. The watch for drift compares with it.';
comment on column forecast.watch_reference.model_version_id is 'Version, see forecast.model_version.';
comment on column forecast.watch_reference.forecaster is 'hybrid or baseline.';
comment on column forecast.watch_reference.origin_month is 'Last complete month the forecasts saw.';
comment on column forecast.watch_reference.horizon is 'Months ahead.';
comment on column forecast.watch_reference.measure is 'loss, loss_against_baseline, calibration or staleness, which are watched; coverage_80, coverage_95 or bias, which inform. See docs/drift.md.';
comment on column forecast.watch_reference.symbols is 'Symbols averaged.';
comment on column forecast.watch_reference.value is 'The measure''s value; of those watched, higher is worse.';

create table ops.watched_month (
    run_id             bigint not null references ops.run,
    horizon            smallint not null check (horizon between 1 and 12),
    measure            text not null,
    forecaster         text not null check (forecaster in ('hybrid', 'baseline')),
    symbols            integer not null check (symbols > 0),
    value              double precision not null,
    usual              double precision not null,
    deviation          double precision not null check (deviation > 0),
    watched_by_run_id  bigint not null references ops.run,
    primary key (run_id, horizon, measure)
);
comment on table ops.watched_month is 'One row per run whose forecasts could be scored, horizon and measure: how good what was served turned out, beside what is usual of its model. Never changed once written.';
comment on column ops.watched_month.run_id is 'Run that made the forecasts.';
comment on column ops.watched_month.horizon is 'Months ahead; the forecasts are scored so many months after the run''s origin_month.';
comment on column ops.watched_month.measure is 'As in forecast.watch_reference.';
comment on column ops.watched_month.forecaster is 'Forecaster that was served.';
comment on column ops.watched_month.symbols is 'Symbols averaged.';
comment on column ops.watched_month.value is 'The measure''s value.';
comment on column ops.watched_month.usual is 'Its usual value, from forecast.watch_reference of the model that made the forecasts.';
comment on column ops.watched_month.deviation is 'Its standard deviation from month to month, from the same.';
comment on column ops.watched_month.watched_by_run_id is 'Run that wrote the row.';

-- A check is of a horizon and a measure. So far there was one measure.
alter table ops.drift_check
    add column measure     text not null default 'loss_against_baseline',
    add column since_month date check (extract(day from since_month) = 1),
    drop constraint drift_check_pkey,
    add primary key (run_id, horizon, measure);
alter table ops.drift_check
    alter column measure drop default,
    alter column threshold drop not null;
comment on table ops.drift_check is 'One row per run, horizon and measure watched: is what is served still as good as is usual of its model?';
comment on column ops.drift_check.measure is 'loss (CRPS against the yardstick), loss_against_baseline, calibration (too narrow) or staleness (does not follow the month''s news). See docs/drift.md.';
comment on column ops.drift_check.status is 'ok, warning (above half of the threshold), alarm (from the threshold on, until back at a quarter of it) or not_enough_data.';
comment on column ops.drift_check.statistic is 'One-sided cumulative sum of how much worse than usual each month was, in standard deviations, less an allowance; never above the threshold.';
comment on column ops.drift_check.threshold is 'Value of the statistic at which the alarm is raised, set so that all checks of a universe together raise at most one false alarm in five years.';
comment on column ops.drift_check.p_value is 'Chance of a statistic this high after so many months while nothing changes.';
comment on column ops.drift_check.since_month is 'Month from whose scores on the statistic has been above zero; null when it is zero.';

create table ops.drift_symbol (
    run_id   bigint not null references ops.run,
    horizon  smallint not null check (horizon between 1 and 12),
    symbol   text not null,
    share    double precision not null check (share > 0 and share <= 1),
    primary key (run_id, horizon, symbol)
);
comment on table ops.drift_symbol is 'One row per run, horizon with a warning or an alarm, and symbol that contributes most to it: five at most.';
comment on column ops.drift_symbol.run_id is 'Run, see ops.run.';
comment on column ops.drift_symbol.horizon is 'Months ahead.';
comment on column ops.drift_symbol.symbol is 'Symbol, see market.instrument.';
comment on column ops.drift_symbol.share is 'Its share of the loss above what is usual, of all symbols that lost more than usual, in the months since the statistic left zero (twelve at most).';

create table ops.input_check (
    run_id      bigint not null references ops.run,
    input       text not null check (input in ('volatility', 'volume', 'missing')),
    value       double precision,
    lowest      double precision,
    highest     double precision,
    is_unusual  boolean not null,
    primary key (run_id, input)
);
comment on table ops.input_check is 'One row per run and input: is the origin month like the ten years before it? It informs, and never raises an alert.';
comment on column ops.input_check.run_id is 'Run, see ops.run.';
comment on column ops.input_check.input is 'volatility (log return a month, geometric mean over symbols), volume (over each symbol''s own mean of the year before) or missing (share of the symbols asked for).';
comment on column ops.input_check.value is 'Of the origin month; null when it cannot be told.';
comment on column ops.input_check.lowest is 'Lower end of what is usual: the 1 % quantile of the months before; null with fewer than 36 of them.';
comment on column ops.input_check.highest is 'Upper end: the 99 % quantile; a twentieth for missing.';
comment on column ops.input_check.is_unusual is 'True when the value lies outside.';
