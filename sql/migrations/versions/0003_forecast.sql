-- The models, what they said, and how wrong it was.
create schema forecast;
comment on schema forecast is 'Model versions, every forecast ever published, and its error once its month has happened.';

create table forecast.model_version (
    model_version_id   bigint generated always as identity primary key,
    source             text not null,
    universe           text not null,
    kind               text not null check (kind in ('retrain', 'fine_tune')),
    parent_id          bigint references forecast.model_version,
    run_id             bigint not null references ops.run,
    trained_through    date not null,
    judged_from        date not null,
    judged_through     date not null,
    seed               bigint not null,
    config             jsonb not null,
    data_fingerprint   text not null,
    software           jsonb not null,
    weights            bytea not null,
    weights_sha256     text not null check (weights_sha256 ~ '^[0-9a-f]{64}$'),
    verdict            text not null check (verdict in ('hybrid', 'baseline')),
    verdict_reason     text not null,
    verdict_numbers    jsonb not null,
    created_at         timestamptz not null
);
comment on table forecast.model_version is 'One row per trained model: its weights, how it came about, and the verdict of the gate when it was new.';
comment on column forecast.model_version.model_version_id is 'Number of the version.';
comment on column forecast.model_version.source is 'Source of the bars it was trained on.';
comment on column forecast.model_version.universe is 'Universe it was trained on.';
comment on column forecast.model_version.kind is 'retrain (from scratch) or fine_tune (from its parent).';
comment on column forecast.model_version.parent_id is 'Version it was fine-tuned from.';
comment on column forecast.model_version.run_id is 'Run that trained it.';
comment on column forecast.model_version.trained_through is 'Last target month that training or early stopping saw.';
comment on column forecast.model_version.judged_from is 'First origin month of the months it was judged on.';
comment on column forecast.model_version.judged_through is 'Last origin month of the months it was judged on; none of them was trained on.';
comment on column forecast.model_version.seed is 'Seed of the first network of the ensemble.';
comment on column forecast.model_version.config is 'Every scientific choice, as stored by model.ForecasterConfig.';
comment on column forecast.model_version.data_fingerprint is 'SHA-256 of the months it was trained on.';
comment on column forecast.model_version.software is 'Versions of the libraries that shape the numbers.';
comment on column forecast.model_version.weights is 'Baseline and networks as bytes (arrays and JSON, no pickle).';
comment on column forecast.model_version.weights_sha256 is 'SHA-256 of weights, hexadecimal; a version that does not match is refused.';
comment on column forecast.model_version.verdict is 'Forecaster the numbers supported: hybrid or baseline.';
comment on column forecast.model_version.verdict_reason is 'One sentence.';
comment on column forecast.model_version.verdict_numbers is 'By horizon: CRPS of hybrid, baseline and persistence, skill, p-value, months judged.';
comment on column forecast.model_version.created_at is 'When it was stored, UTC.';
-- Serves: the champion of a universe.
create index model_version_lineage on forecast.model_version (source, universe, model_version_id);

create table forecast.baseline_coefficient (
    model_version_id  bigint not null references forecast.model_version,
    horizon           smallint not null check (horizon between 1 and 12),
    term              text not null,
    value             double precision not null,
    primary key (model_version_id, horizon, term)
);
comment on table forecast.baseline_coefficient is 'One row per model version, horizon and term of the baseline: quantile = centre + volatility × √horizon × exp(Σ coefficient × feature) × standard quantile.';
comment on column forecast.baseline_coefficient.model_version_id is 'Version, see forecast.model_version.';
comment on column forecast.baseline_coefficient.horizon is 'Months ahead.';
comment on column forecast.baseline_coefficient.term is 'centre (log return), intercept of the log-scale, or the feature of the log-scale that the coefficient multiplies.';
comment on column forecast.baseline_coefficient.value is 'Fitted value.';

create table forecast.candidate (
    run_id            bigint not null references ops.run,
    candidate         text not null check (candidate in ('keep', 'fine_tune', 'retrain', 'baseline')),
    model_version_id  bigint references forecast.model_version,
    months_judged     integer not null,
    crps              double precision,
    baseline_crps     double precision,
    persistence_crps  double precision,
    p_value           double precision check (p_value between 0 and 1),
    is_served         boolean not null,
    reason            text not null,
    primary key (run_id, candidate)
);
comment on table forecast.candidate is 'One row per run and candidate the gate compared. All candidates of a run are judged on the same months.';
comment on column forecast.candidate.run_id is 'Run, see ops.run.';
comment on column forecast.candidate.candidate is 'keep (the model in service), fine_tune, retrain (from scratch) or baseline.';
comment on column forecast.candidate.model_version_id is 'Version judged; the baseline is the one fitted with that version.';
comment on column forecast.candidate.months_judged is 'Origin months compared, none of which the candidate was trained on.';
comment on column forecast.candidate.crps is 'Mean CRPS of the log return over months and horizons.';
comment on column forecast.candidate.baseline_crps is 'The baseline''s, on the same months.';
comment on column forecast.candidate.persistence_crps is 'The random walk''s, on the same months.';
comment on column forecast.candidate.p_value is 'One-sided Harvey-Leybourne-Newbold p-value of being better than the baseline.';
comment on column forecast.candidate.is_served is 'True for the one whose forecasts are served.';
comment on column forecast.candidate.reason is 'One sentence.';

create table forecast.forecast_origin (
    run_id            bigint not null references ops.run,
    symbol            text not null,
    origin_month      date not null,
    origin_session    date not null,
    origin_close      double precision not null,
    currency_code     text not null,
    naive_mae         double precision not null,
    model_version_id  bigint not null references forecast.model_version,
    primary key (run_id, symbol)
);
comment on table forecast.forecast_origin is 'One row per run and symbol forecast: where the forecast stood when it was made.';
comment on column forecast.forecast_origin.run_id is 'Run, see ops.run.';
comment on column forecast.forecast_origin.symbol is 'Symbol, see market.instrument.';
comment on column forecast.forecast_origin.origin_month is 'Last complete month the forecast saw.';
comment on column forecast.forecast_origin.origin_session is 'Last session of the origin month.';
comment on column forecast.forecast_origin.origin_close is 'Close of that session, as traded.';
comment on column forecast.forecast_origin.currency_code is 'Currency of origin_close.';
comment on column forecast.forecast_origin.naive_mae is 'Mean absolute monthly log return of the symbol so far: the denominator of MASE.';
comment on column forecast.forecast_origin.model_version_id is 'Version that made the forecast.';

create table forecast.forecast (
    run_id        bigint not null,
    symbol        text not null,
    origin_month  date not null check (extract(day from origin_month) = 1),
    horizon       smallint not null check (horizon between 1 and 12),
    target_month  date not null check (target_month = (origin_month + horizon * interval '1 month')::date),
    forecaster    text not null check (forecaster in ('hybrid', 'baseline', 'persistence')),
    is_served     boolean not null check (not is_served or forecaster <> 'persistence'),
    q025          double precision not null,
    q05           double precision not null,
    q10           double precision not null,
    q20           double precision not null,
    q30           double precision not null,
    q40           double precision not null,
    q50           double precision not null,
    q60           double precision not null,
    q70           double precision not null,
    q80           double precision not null,
    q90           double precision not null,
    q95           double precision not null,
    q975          double precision not null,
    primary key (run_id, symbol, horizon, forecaster),
    foreign key (run_id, symbol) references forecast.forecast_origin,
    check (q025 <= q05 and q05 <= q10 and q10 <= q20 and q20 <= q30 and q30 <= q40 and q40 <= q50 and q50 <= q60
           and q60 <= q70 and q70 <= q80 and q80 <= q90 and q90 <= q95 and q95 <= q975)
);
comment on table forecast.forecast is 'One row per run, symbol, horizon and forecaster; exactly one forecaster of each forecast is served. Never changed once written.';
comment on column forecast.forecast.run_id is 'Run, see ops.run.';
comment on column forecast.forecast.symbol is 'Symbol, see market.instrument.';
comment on column forecast.forecast.origin_month is 'Last complete month the forecast saw.';
comment on column forecast.forecast.horizon is 'Months ahead, 1 to 12.';
comment on column forecast.forecast.target_month is 'Month at whose end the return is measured.';
comment on column forecast.forecast.forecaster is 'hybrid (baseline and LSTM-GRU), baseline (the traditional forecast) or persistence (random walk).';
comment on column forecast.forecast.is_served is 'True for the one forecaster whose numbers are given out.';
comment on column forecast.forecast.q025 is '2.5 % quantile of the log return, total, from the end of origin_month to the end of target_month.';
comment on column forecast.forecast.q05 is '5 % quantile.';
comment on column forecast.forecast.q10 is '10 % quantile.';
comment on column forecast.forecast.q20 is '20 % quantile.';
comment on column forecast.forecast.q30 is '30 % quantile.';
comment on column forecast.forecast.q40 is '40 % quantile.';
comment on column forecast.forecast.q50 is 'Median: the point forecast.';
comment on column forecast.forecast.q60 is '60 % quantile.';
comment on column forecast.forecast.q70 is '70 % quantile.';
comment on column forecast.forecast.q80 is '80 % quantile.';
comment on column forecast.forecast.q90 is '90 % quantile.';
comment on column forecast.forecast.q95 is '95 % quantile.';
comment on column forecast.forecast.q975 is '97.5 % quantile.';
create unique index forecast_served_once on forecast.forecast (run_id, symbol, horizon) where is_served;
-- Serves: forecasts of a symbol over time, and forecasts whose month has happened.
create index forecast_by_target on forecast.forecast (target_month, symbol);

create table forecast.forecast_error (
    run_id              bigint not null,
    symbol              text not null,
    horizon             smallint not null,
    forecaster          text not null,
    actual_log_return   double precision not null,
    error               double precision not null,
    crps                double precision not null check (crps >= 0),
    is_covered_80       boolean not null,
    is_covered_95       boolean not null,
    is_direction_right  boolean not null,
    scored_by_run_id    bigint not null references ops.run,
    scored_at           timestamptz not null,
    primary key (run_id, symbol, horizon, forecaster),
    foreign key (run_id, symbol, horizon, forecaster) references forecast.forecast
);
comment on table forecast.forecast_error is 'One row per forecast and forecaster whose target month has happened. Never changed once written.';
comment on column forecast.forecast_error.run_id is 'Run that made the forecast.';
comment on column forecast.forecast_error.symbol is 'Symbol, see market.instrument.';
comment on column forecast.forecast_error.horizon is 'Months ahead, 1 to 12.';
comment on column forecast.forecast_error.forecaster is 'hybrid, baseline or persistence.';
comment on column forecast.forecast_error.actual_log_return is 'What happened: log return, total, over the horizon.';
comment on column forecast.forecast_error.error is 'Median minus actual, log return.';
comment on column forecast.forecast_error.crps is 'Continuous ranked probability score over the 13 quantiles, log return; smaller is better.';
comment on column forecast.forecast_error.is_covered_80 is 'Actual within q10 … q90.';
comment on column forecast.forecast_error.is_covered_95 is 'Actual within q025 … q975.';
comment on column forecast.forecast_error.is_direction_right is 'Median and actual are both above zero, or neither is.';
comment on column forecast.forecast_error.scored_by_run_id is 'Run that scored it.';
comment on column forecast.forecast_error.scored_at is 'When it was scored, UTC.';

create table forecast.backtest_error (
    model_version_id  bigint not null references forecast.model_version,
    origin_month      date not null,
    horizon           smallint not null check (horizon between 1 and 12),
    forecaster        text not null check (forecaster in ('hybrid', 'baseline', 'persistence')),
    symbols           integer not null,
    crps              double precision not null,
    absolute_error    double precision not null,
    covered_80        double precision not null check (covered_80 between 0 and 1),
    covered_95        double precision not null check (covered_95 between 0 and 1),
    primary key (model_version_id, origin_month, horizon, forecaster)
);
comment on table forecast.backtest_error is 'One row per model version, origin month, horizon and forecaster: means over symbols on the months it was judged on.';
comment on column forecast.backtest_error.model_version_id is 'Version, see forecast.model_version.';
comment on column forecast.backtest_error.origin_month is 'Last complete month the forecast saw.';
comment on column forecast.backtest_error.horizon is 'Months ahead.';
comment on column forecast.backtest_error.forecaster is 'hybrid, baseline or persistence.';
comment on column forecast.backtest_error.symbols is 'Symbols averaged.';
comment on column forecast.backtest_error.crps is 'Mean CRPS, log return.';
comment on column forecast.backtest_error.absolute_error is 'Mean absolute error of the median, log return.';
comment on column forecast.backtest_error.covered_80 is 'Share of actuals within q10 … q90.';
comment on column forecast.backtest_error.covered_95 is 'Share of actuals within q025 … q975.';
