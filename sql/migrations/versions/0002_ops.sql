-- The ledger of runs, and what was noticed on the way.
create schema ops;
comment on schema ops is 'Runs, their outcome for every symbol, drift checks, alerts and their delivery.';

create table ops.run (
    run_id            bigint generated always as identity primary key,
    source            text not null,
    universe          text not null,
    origin_month      date not null check (extract(day from origin_month) = 1),
    correction        integer not null default 0 check (correction >= 0),
    as_of             date not null,
    known_at          timestamptz not null,
    status            text not null default 'running' check (status in ('running', 'published', 'failed', 'abandoned')),
    mode              text not null,
    symbols_asked     integer not null check (symbols_asked > 0),
    symbols_forecast  integer,
    served            text check (served in ('hybrid', 'baseline')),
    message           text,
    flow_run_id       uuid,
    parameters        jsonb not null,
    software          jsonb not null,
    started_at        timestamptz not null,
    finished_at       timestamptz,
    is_retrospective  boolean generated always as ((started_at at time zone 'UTC')::date > as_of + 31) stored,
    check ((status = 'running') = (finished_at is null))
);
comment on table ops.run is 'One row per started run of the monthly forecast.';
comment on column ops.run.run_id is 'Number of the run.';
comment on column ops.run.source is 'Source of the bars: sample, file or yahoo.';
comment on column ops.run.universe is 'Name of the set of symbols: the universe file''s name, the source''s own, or one made from --symbols.';
comment on column ops.run.origin_month is 'Last complete month the forecasts saw, first day of the month.';
comment on column ops.run.correction is '0 for the first published run of a month; each --rerun adds one. The highest is in force.';
comment on column ops.run.as_of is 'Date up to which anything may have happened.';
comment on column ops.run.known_at is 'Moment up to which we may have learnt of it, UTC.';
comment on column ops.run.status is 'running; published (all its rows are visible); failed (see message); abandoned (its process ended without a word).';
comment on column ops.run.mode is 'How the model was chosen: auto, keep, retrain or baseline.';
comment on column ops.run.symbols_asked is 'Symbols in the universe.';
comment on column ops.run.symbols_forecast is 'Symbols that got forecasts; every other one is explained in ops.symbol_outcome.';
comment on column ops.run.served is 'Forecaster whose rows are served: hybrid, or baseline where the numbers did not support the hybrid.';
comment on column ops.run.message is 'One sentence: what was published, or why nothing was.';
comment on column ops.run.flow_run_id is 'Prefect''s id of the flow run.';
comment on column ops.run.parameters is 'Parameters the run was started with.';
comment on column ops.run.software is 'Versions of Bellwether and of the libraries that shape the numbers.';
comment on column ops.run.started_at is 'Start, UTC.';
comment on column ops.run.finished_at is 'End, UTC; null while running.';
comment on column ops.run.is_retrospective is 'True when the run started over a month after its as_of: a forecast of a past month, made later.';
-- A month is published once per correction, whatever races.
create unique index run_published_once on ops.run (source, universe, origin_month, correction) where status = 'published';

create table ops.symbol_outcome (
    run_id         bigint not null references ops.run,
    symbol         text not null,
    outcome        text not null check (outcome in ('ok', 'stale', 'missing', 'rate_limited', 'source_error', 'rejected')),
    reason         text not null,
    last_session   date,
    months         integer,
    primary key (run_id, symbol)
);
comment on table ops.symbol_outcome is 'One row per run and symbol asked for: no symbol is dropped in silence.';
comment on column ops.symbol_outcome.run_id is 'Run, see ops.run.';
comment on column ops.symbol_outcome.symbol is 'Symbol, see market.instrument.';
comment on column ops.symbol_outcome.outcome is 'ok; stale (no bar at the month''s end); missing (source has no such symbol); rate_limited, source_error (source did not answer); rejected (bars not to be trusted, or too few).';
comment on column ops.symbol_outcome.reason is 'One sentence.';
comment on column ops.symbol_outcome.last_session is 'Last session with a bar up to as_of.';
comment on column ops.symbol_outcome.months is 'Complete months of history up to the origin month.';

create table ops.drift_check (
    run_id       bigint not null references ops.run,
    horizon      smallint not null check (horizon between 1 and 12),
    status       text not null check (status in ('ok', 'warning', 'alarm', 'not_enough_data')),
    statistic    double precision,
    threshold    double precision not null,
    p_value      double precision check (p_value between 0 and 1),
    months_used  integer not null,
    reason       text not null,
    primary key (run_id, horizon)
);
comment on table ops.drift_check is 'One row per run and horizon watched: is the served forecast still as good, against the baseline in the same months, as it was when it was judged?';
comment on column ops.drift_check.run_id is 'Run, see ops.run.';
comment on column ops.drift_check.horizon is 'Months ahead.';
comment on column ops.drift_check.status is 'ok, warning, alarm, or not_enough_data.';
comment on column ops.drift_check.statistic is 'One-sided cumulative sum of the standardised relative loss; grows when the forecast gets worse than its baseline.';
comment on column ops.drift_check.threshold is 'Value of the statistic at which the alarm is raised.';
comment on column ops.drift_check.p_value is 'Chance of a mean relative loss this high if nothing had changed.';
comment on column ops.drift_check.months_used is 'Scored months behind the check.';
comment on column ops.drift_check.reason is 'One sentence.';

create table ops.alert (
    alert_id         bigint generated always as identity primary key,
    kind             text not null check (kind in ('drift', 'failed_run', 'coverage', 'overdue', 'damaged_model', 'delivery')),
    subject          text not null,
    severity         text not null check (severity in ('warning', 'critical')),
    title            text not null,
    detail           text not null,
    look_deeper_sql  text not null,
    run_id           bigint references ops.run,
    opened_at        timestamptz not null,
    acknowledged_at  timestamptz,
    resolved_at      timestamptz
);
comment on table ops.alert is 'One row per alert, open until resolved_at is set.';
comment on column ops.alert.alert_id is 'Number of the alert.';
comment on column ops.alert.kind is 'drift, failed_run, coverage, overdue, damaged_model or delivery.';
comment on column ops.alert.subject is 'What it is about, for example source/universe; one alert of a kind and subject is open at a time.';
comment on column ops.alert.severity is 'warning or critical.';
comment on column ops.alert.title is 'What happened, in one line.';
comment on column ops.alert.detail is 'Since when, how bad, what to do.';
comment on column ops.alert.look_deeper_sql is 'A query that shows more.';
comment on column ops.alert.run_id is 'Run that raised it, if any.';
comment on column ops.alert.opened_at is 'When it was raised, UTC.';
comment on column ops.alert.acknowledged_at is 'When a person took note, UTC.';
comment on column ops.alert.resolved_at is 'When it cleared, UTC.';
create unique index alert_open_once on ops.alert (kind, subject) where resolved_at is null;

create table ops.delivery (
    alert_id      bigint not null references ops.alert,
    address       text not null,
    attempted_at  timestamptz not null,
    is_delivered  boolean not null,
    reason        text,
    primary key (alert_id, address, attempted_at)
);
comment on table ops.delivery is 'One row per alert, address and attempt to deliver it.';
comment on column ops.delivery.alert_id is 'Alert, see ops.alert.';
comment on column ops.delivery.address is 'Where to, with every secret masked.';
comment on column ops.delivery.attempted_at is 'When, UTC.';
comment on column ops.delivery.is_delivered is 'Whether the address accepted it.';
comment on column ops.delivery.reason is 'Why not, when it did not.';
