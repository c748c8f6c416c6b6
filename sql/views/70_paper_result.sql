-- Results of the paper's experiment: mean and standard deviation over the seeds, beside the published values.
create view report.paper_result as
with published (forecaster, published_mae, published_mse, published_rmse) as (
    -- Values printed in the paper, for closes scaled to 0-1.
    values
        ('hybrid', 0.012::double precision, 0.0004::double precision, 0.02::double precision),
        ('lstm', null, null, 0.025),
        ('gru', null, null, 0.027)
),
measured as (
    select
        experiment, scaler, forecaster, source, symbol, bar_interval, first_session, last_session, tested_from, test_targets,
        beyond_share, scale_points,
        count(seed)              as seeds,
        avg(mae)                 as mae,
        stddev_samp(mae)         as mae_sd,
        avg(mse)                 as mse,
        stddev_samp(mse)         as mse_sd,
        avg(rmse)                as rmse,
        stddev_samp(rmse)        as rmse_sd,
        avg(mae_points)          as mae_points,
        stddev_samp(mae_points)  as mae_points_sd,
        avg(mse_points)          as mse_points,
        stddev_samp(mse_points)  as mse_points_sd,
        avg(rmse_points)         as rmse_points,
        stddev_samp(rmse_points) as rmse_points_sd,
        avg(train_rmse)          as train_rmse,
        avg(misplaced_rmse)      as misplaced_rmse,
        max(computed_at)         as computed_at
    from forecast.paper_result
    group by
        experiment, scaler, forecaster, source, symbol, bar_interval, first_session, last_session, tested_from, test_targets,
        beyond_share, scale_points
)
select
    m.*,
    p.published_mae, p.published_mse, p.published_rmse,
    m.rmse / nullif(n.rmse, 0) as rmse_vs_persistence
from measured m
left join published p using (forecaster)
left join measured n
    on n.forecaster = 'persistence' and n.experiment = m.experiment and n.scaler = m.scaler
order by m.computed_at desc, m.experiment, m.scaler, array_position(array['hybrid', 'lstm', 'gru', 'linear', 'persistence'], m.forecaster);
comment on view report.paper_result is 'One row per experiment, scaler and forecaster, newest first: mean error and its standard deviation over the seeds, beside the published values.';
comment on column report.paper_result.experiment is 'SHA-256 of bars, configuration and library versions, hexadecimal.';
comment on column report.paper_result.scaler is 'Bars that define the 0-1 scale: everything (as published) or training (only the training part).';
comment on column report.paper_result.forecaster is 'hybrid (LSTM -> GRU), lstm, gru, linear or persistence (the previous close).';
comment on column report.paper_result.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.paper_result.symbol is 'Symbol in the notation of the source.';
comment on column report.paper_result.bar_interval is 'Length of one step: daily or monthly.';
comment on column report.paper_result.first_session is 'First bar.';
comment on column report.paper_result.last_session is 'Last bar.';
comment on column report.paper_result.tested_from is 'Bar of the first target of the test part.';
comment on column report.paper_result.test_targets is 'Number of closes forecast in the test part.';
comment on column report.paper_result.beyond_share is 'Share of these closes outside the 0-1 scale, 0 to 1.';
comment on column report.paper_result.scale_points is 'Index points between 0 and 1 of the scale.';
comment on column report.paper_result.seeds is 'Number of trainings averaged; 0 for a forecaster without randomness.';
comment on column report.paper_result.mae is 'Mean absolute error of the test part''s closes, scaled units, mean over seeds.';
comment on column report.paper_result.mae_sd is 'Standard deviation of mae over the seeds, scaled units.';
comment on column report.paper_result.mse is 'Mean squared error, squared scaled units, mean over seeds.';
comment on column report.paper_result.mse_sd is 'Standard deviation of mse over the seeds, squared scaled units.';
comment on column report.paper_result.rmse is 'Root mean squared error, scaled units, mean over seeds.';
comment on column report.paper_result.rmse_sd is 'Standard deviation of rmse over the seeds, scaled units.';
comment on column report.paper_result.mae_points is 'Mean absolute error, index points, mean over seeds.';
comment on column report.paper_result.mae_points_sd is 'Standard deviation of mae_points over the seeds, index points.';
comment on column report.paper_result.mse_points is 'Mean squared error, squared index points, mean over seeds.';
comment on column report.paper_result.mse_points_sd is 'Standard deviation of mse_points over the seeds, squared index points.';
comment on column report.paper_result.rmse_points is 'Root mean squared error, index points, mean over seeds.';
comment on column report.paper_result.rmse_points_sd is 'Standard deviation of rmse_points over the seeds, index points.';
comment on column report.paper_result.train_rmse is 'RMSE on the training part, scaled units, mean over seeds: the number reported by the paper''s notebook.';
comment on column report.paper_result.misplaced_rmse is 'RMSE of the test part''s forecasts against the first closes of the series, scaled units, mean over seeds: the notebook''s mistake.';
comment on column report.paper_result.computed_at is 'Time of the newest computation, UTC.';
comment on column report.paper_result.published_mae is 'Mean absolute error printed in the paper, scaled units; null if not printed.';
comment on column report.paper_result.published_mse is 'Mean squared error printed in the paper, squared scaled units; null if not printed.';
comment on column report.paper_result.published_rmse is 'RMSE printed in the paper, scaled units; null if not printed.';
comment on column report.paper_result.rmse_vs_persistence is 'RMSE divided by that of persistence, without unit; above 1 is worse.';
