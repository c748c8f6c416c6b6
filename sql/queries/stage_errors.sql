create temporary table incoming_error (like forecast.forecast_error) on commit drop
