-- One publication at a time adds up scores: another one's errors of the same month must be seen.
lock table forecast.month_score in share row exclusive mode;
create temporary table incoming_error (is_restated boolean not null, like forecast.forecast_error) on commit drop
