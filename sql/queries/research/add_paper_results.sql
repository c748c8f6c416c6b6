-- Add the results of an experiment. A repetition adds nothing; newer errors replace different ones, which should not occur.
insert into forecast.paper_result as stored
select * from incoming_paper_result
on conflict (experiment, scaler, forecaster, seed) do update
set best_epoch = excluded.best_epoch, epochs = excluded.epochs,
    mae = excluded.mae, mse = excluded.mse, rmse = excluded.rmse,
    mae_points = excluded.mae_points, mse_points = excluded.mse_points, rmse_points = excluded.rmse_points,
    train_rmse = excluded.train_rmse, misplaced_rmse = excluded.misplaced_rmse, computed_at = excluded.computed_at
where (stored.mae, stored.mse, stored.rmse, stored.train_rmse, stored.misplaced_rmse)
      is distinct from (excluded.mae, excluded.mse, excluded.rmse, excluded.train_rmse, excluded.misplaced_rmse)
returning xmax = 0 as is_new
