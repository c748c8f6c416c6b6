create temporary table incoming_watched_month (like ops.watched_month) on commit drop;
create temporary table incoming_watch_reference (like forecast.watch_reference) on commit drop
