-- Last known outcome of every scored forecast of the runs in force of a universe; the same for all forecasters.
select e.run_id, e.symbol, r.origin_month, e.horizon, (r.origin_month + e.horizon * interval '1 month')::date as target_month,
       coalesce(min(n.actual_log_return), min(e.actual_log_return)) as known_log_return
from report.published_run r
join forecast.forecast_error e using (run_id)
left join (
    select distinct on (run_id, symbol, horizon, forecaster) run_id, symbol, horizon, forecaster, actual_log_return
    from forecast.restated_error
    order by run_id, symbol, horizon, forecaster, revision desc
) n using (run_id, symbol, horizon, forecaster)
where r.source = %(source)s and r.universe = %(universe)s and r.origin_month + e.horizon * interval '1 month' <= %(through_month)s
group by e.run_id, e.symbol, r.origin_month, e.horizon
