create temporary table incoming_watched_month (like ops.drift_month) on commit drop;
create temporary table incoming_watch_reference (like forecast.drift_expectation) on commit drop
