-- Model versions and horizons whose rows of forecast.scorecard a publication changes: those with new errors, those of a run that it
-- replaces, those with a month that enters or leaves a trailing window, and all of a universe without a scorecard.
with this as (
    select source, universe, origin_month from ops.run where run_id = %(run_id)s
),
in_force as (
    select m.model_version_id, m.horizon, m.target_month, m.symbol_group
    from this
    join report.published_run r using (source, universe)
    join forecast.month_score m on m.run_id = r.run_id
),
newest as (
    select least(max(target_month), %(newest_before)s::date) as earlier, greatest(max(target_month), %(newest_before)s::date) as later
    from in_force
    where symbol_group = 'all'
)
select m.model_version_id, m.horizon
from unnest(%(run_ids)s::bigint[], %(horizons)s::smallint[]) as scored (run_id, horizon)
join forecast.month_score m using (run_id, horizon)
union
select m.model_version_id, m.horizon
from this
join ops.run r using (source, universe, origin_month)
join forecast.month_score m on m.run_id = r.run_id
union
select f.model_version_id, f.horizon
from in_force f
cross join newest n
cross join unnest(%(windows)s::integer[]) as w (months)
where f.target_month > n.earlier - w.months * interval '1 month' and f.target_month <= n.later - w.months * interval '1 month'
union
select f.model_version_id, f.horizon
from in_force f
where not exists (select from this join forecast.scorecard s using (source, universe))
