-- The paper behind the project, run again: how wrong its networks are on the test part, training by training.
create table forecast.paper_result (
    experiment       text not null check (experiment ~ '^[0-9a-f]{64}$'),
    scaler           text not null check (scaler in ('everything', 'training')),
    forecaster       text not null check (forecaster in ('hybrid', 'lstm', 'gru', 'linear', 'persistence')),
    seed             integer check ((seed is null) = (forecaster in ('linear', 'persistence'))),
    source           text not null,
    symbol           text not null,
    bar_interval     text not null check (bar_interval in ('daily', 'monthly')),
    first_session    date not null,
    last_session     date not null,
    tested_from      date not null,
    test_targets     integer not null check (test_targets > 0),
    beyond_share     double precision not null check (beyond_share between 0 and 1),
    scale_points     double precision not null check (scale_points > 0),
    best_epoch       integer check ((best_epoch is null) = (seed is null)),
    epochs           integer check ((epochs is null) = (seed is null) and epochs >= best_epoch),
    mae              double precision not null check (mae >= 0),
    mse              double precision not null check (mse >= 0),
    rmse             double precision not null check (rmse >= 0),
    mae_points       double precision not null check (mae_points >= 0),
    mse_points       double precision not null check (mse_points >= 0),
    rmse_points      double precision not null check (rmse_points >= 0),
    train_rmse       double precision not null check (train_rmse >= 0),
    misplaced_rmse   double precision not null check (misplaced_rmse >= 0),
    config           jsonb not null,
    software         jsonb not null,
    computed_at      timestamptz not null,
    unique nulls not distinct (experiment, scaler, forecaster, seed)
);
comment on table forecast.paper_result is 'One row per experiment, scaler, forecaster and seed: errors of one-step forecasts of closes, as in the paper, on the last part of the bars.';
comment on column forecast.paper_result.experiment is 'SHA-256 of the bars, the choices and the versions of the libraries: the same experiment has the same errors.';
comment on column forecast.paper_result.scaler is 'Bars that the 0-1 scale is fitted on: everything (as published: it knows the test part''s range) or training (the training part''s alone).';
comment on column forecast.paper_result.forecaster is 'hybrid (LSTM -> GRU), lstm or gru (that layer alone), linear (least squares on the same window) or persistence (the close before).';
comment on column forecast.paper_result.seed is 'Seed of the training; null where nothing is random.';
comment on column forecast.paper_result.source is 'Source of the bars: sample, file or yahoo. They are not stored in market.daily_bar.';
comment on column forecast.paper_result.symbol is 'Symbol, as the source spells it.';
comment on column forecast.paper_result.bar_interval is 'daily or monthly: what a step is.';
comment on column forecast.paper_result.first_session is 'First bar.';
comment on column forecast.paper_result.last_session is 'Last bar.';
comment on column forecast.paper_result.tested_from is 'Bar of the first target of the test part.';
comment on column forecast.paper_result.test_targets is 'Closes forecast in the test part.';
comment on column forecast.paper_result.beyond_share is 'Share of them outside of the 0-1 scale.';
comment on column forecast.paper_result.scale_points is 'Points of the index from 0 to 1 of the scale.';
comment on column forecast.paper_result.best_epoch is 'Pass over the training part whose weights early stopping took.';
comment on column forecast.paper_result.epochs is 'Passes made.';
comment on column forecast.paper_result.mae is 'Mean absolute error of the test part''s closes, scaled.';
comment on column forecast.paper_result.mse is 'Mean squared error, scaled.';
comment on column forecast.paper_result.rmse is 'Root of mse.';
comment on column forecast.paper_result.mae_points is 'Mean absolute error in points of the index.';
comment on column forecast.paper_result.mse_points is 'Mean squared error in squared points.';
comment on column forecast.paper_result.rmse_points is 'Root of mse_points.';
comment on column forecast.paper_result.train_rmse is 'RMSE on the training part, scaled: the number that the paper''s notebook reports.';
comment on column forecast.paper_result.misplaced_rmse is 'RMSE of the test part''s forecasts against the first closes of the series, scaled: the notebook''s mistake, made on purpose.';
comment on column forecast.paper_result.config is 'Every choice, as stored by model.PaperConfig.';
comment on column forecast.paper_result.software is 'Versions of the libraries that shape the numbers.';
comment on column forecast.paper_result.computed_at is 'When it was computed, UTC.';
