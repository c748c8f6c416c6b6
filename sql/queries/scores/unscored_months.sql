-- Runs and horizons with errors that are not added up yet.
select distinct run_id, horizon from forecast.forecast_error
except
select run_id, horizon from forecast.month_score
order by run_id, horizon
