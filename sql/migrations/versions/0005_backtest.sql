-- Backtests: rolling origins over the past, beside the months that the gate judges a new model on.
create table forecast.backtest (
    backtest_id       bigint generated always as identity primary key,
    source            text not null,
    universe          text not null,
    first_origin      date not null check (extract(day from first_origin) = 1),
    last_origin       date not null check (extract(day from last_origin) = 1),
    refit             text not null check (refit in ('monthly', 'yearly', 'never')),
    forecasters       text[] not null check (cardinality(forecasters) > 0),
    symbols           integer not null check (symbols > 0),
    config            jsonb not null,
    software          jsonb not null,
    data_fingerprint  text not null,
    started_at        timestamptz not null,
    finished_at       timestamptz not null,
    check (first_origin <= last_origin),
    check (started_at <= finished_at)
);
comment on table forecast.backtest is 'One row per finished backtest: forecasts from every month of a span, each with what was known at its own. Written with all its errors or not at all.';
comment on column forecast.backtest.backtest_id is 'Number of the backtest.';
comment on column forecast.backtest.source is 'Source of the bars: sample, file or yahoo.';
comment on column forecast.backtest.universe is 'Name of the set of symbols, as in ops.run.';
comment on column forecast.backtest.first_origin is 'First month forecast from.';
comment on column forecast.backtest.last_origin is 'Last month forecast from.';
comment on column forecast.backtest.refit is 'When hybrid and baseline are trained anew: monthly (at every origin), yearly (at every twelfth) or never (at the first alone).';
comment on column forecast.backtest.forecasters is 'Forecasters compared.';
comment on column forecast.backtest.symbols is 'Symbols that could be used; those rejected by the checks of bars are not.';
comment on column forecast.backtest.config is 'Every scientific choice, as stored by model.ForecasterConfig.';
comment on column forecast.backtest.software is 'Versions of the libraries that shape the numbers.';
comment on column forecast.backtest.data_fingerprint is 'SHA-256 of the months used: backtests with the same one have seen the same data.';
comment on column forecast.backtest.started_at is 'Start, UTC.';
comment on column forecast.backtest.finished_at is 'End, UTC.';
-- Serves: the newest backtest of a universe.
create index backtest_lineage on forecast.backtest (source, universe, refit, backtest_id);

-- An error belongs to the months a model version was judged on, or to a backtest.
alter table forecast.backtest_error
    drop constraint backtest_error_pkey,
    drop constraint backtest_error_forecaster_check,
    alter column model_version_id drop not null,
    add column backtest_id           bigint references forecast.backtest,
    add column squared_error         double precision check (squared_error >= 0),
    add column scaled_absolute_error double precision check (scaled_absolute_error >= 0),
    add column direction_right       double precision check (direction_right between 0 and 1),
    add column went_up               double precision check (went_up between 0 and 1),
    add column persistence_crps      double precision check (persistence_crps >= 0),
    add column baseline_crps         double precision check (baseline_crps >= 0),
    add constraint backtest_error_owner_check check (num_nonnulls(model_version_id, backtest_id) = 1),
    add constraint backtest_error_forecaster_check
        check (forecaster in ('hybrid', 'baseline', 'persistence', 'drift', 'garch', 'ets')),
    add constraint backtest_error_key
        unique nulls not distinct (model_version_id, backtest_id, origin_month, horizon, forecaster);
-- Serves: the errors of a backtest.
create index backtest_error_by_backtest on forecast.backtest_error (backtest_id) where backtest_id is not null;
comment on table forecast.backtest_error is 'One row per backtest or model version, origin month, horizon and forecaster: means over symbols. Those of a version are of the months it was judged on.';
comment on column forecast.backtest_error.model_version_id is 'Version, see forecast.model_version; null for a backtest.';
comment on column forecast.backtest_error.backtest_id is 'Backtest, see forecast.backtest; null for a version.';
comment on column forecast.backtest_error.forecaster is 'hybrid, baseline or persistence; in backtests also drift, garch or ets.';
comment on column forecast.backtest_error.squared_error is 'Mean squared error of the median, log return; of backtests alone, as all the following.';
comment on column forecast.backtest_error.scaled_absolute_error is 'Mean of the absolute error over the symbol''s mean absolute monthly log return up to the origin; its mean is the MASE.';
comment on column forecast.backtest_error.direction_right is 'Share of symbols whose median and actual are both above zero, or neither is.';
comment on column forecast.backtest_error.went_up is 'Share of symbols whose actual is above zero.';
comment on column forecast.backtest_error.persistence_crps is 'Mean CRPS of the random walk on the very symbols of the row; null when it was not among the forecasters.';
comment on column forecast.backtest_error.baseline_crps is 'Mean CRPS of the baseline on the very symbols of the row; null when it was not among the forecasters.';
