-- Delete the monthly scores of some runs and horizons before they are written again.
delete from forecast.month_score m
using unnest(%(run_ids)s::bigint[], %(horizons)s::smallint[]) as scored (run_id, horizon)
where m.run_id = scored.run_id and m.horizon = scored.horizon
