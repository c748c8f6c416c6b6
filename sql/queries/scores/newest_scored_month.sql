-- Universe of a run and its newest scored target month, from which trailing windows count back.
select source, universe, (
    select max(m.target_month)
    from report.published_run r
    join forecast.month_score m using (run_id)
    where r.source = o.source and r.universe = o.universe and m.symbol_group = 'all'
) as month
from ops.run o
where run_id = %(run_id)s
