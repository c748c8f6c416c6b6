create view report.paper_result as
with published (forecaster, published_mae, published_mse, published_rmse) as (
    -- As printed in the paper, closes scaled to 0-1.
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
comment on view report.paper_result is
    'One row per run of the paper''s experiment, scaler and forecaster, newest first: mean error and its standard deviation over the seeds, beside what the paper printed.';
comment on column report.paper_result.scaler is 'Bars that the 0-1 scale is fitted on: everything (as published) or the training part''s alone.';
comment on column report.paper_result.seeds is 'Trainings behind the mean; 0 where nothing is random.';
comment on column report.paper_result.mae is 'Mean absolute error of the test part''s closes, scaled. The other errors likewise; _points is in points of the index (mse: squared), _sd the standard deviation over seeds.';
comment on column report.paper_result.beyond_share is 'Share of the test part''s closes outside of the 0-1 scale.';
comment on column report.paper_result.train_rmse is 'RMSE on the training part, scaled: the number that the paper''s notebook reports.';
comment on column report.paper_result.misplaced_rmse is 'RMSE of the test part''s forecasts against the first closes of the series: the notebook''s mistake.';
comment on column report.paper_result.published_rmse is 'As printed in the paper; null where it prints none. published_mae and published_mse likewise.';
comment on column report.paper_result.rmse_vs_persistence is 'RMSE over that of saying "as before"; above 1 is worse.';
