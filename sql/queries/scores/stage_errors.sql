-- One publication at a time writes scores: it must see the errors that another one added to the same month.
lock table forecast.month_score in share row exclusive mode;
create temporary table incoming_error (is_restated boolean not null, like forecast.forecast_error) on commit drop
