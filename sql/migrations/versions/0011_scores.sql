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

drop function forecast.score_month(bigint, smallint);
drop function forecast.winkler(double precision, double precision, double precision, double precision);
drop function if exists report.coverage_p(double precision[], double precision[], double precision, integer);
drop function if exists report.kupiec_p(double precision, double precision, double precision);
drop function if exists report.kupiec_ratio(double precision, double precision, double precision);
drop function if exists report.better_p(double precision[], integer);
drop function if exists report.variance_of_mean(double precision[], integer);
drop function if exists report.student_t_below(double precision, integer);

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
