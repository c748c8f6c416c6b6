-- End a running run, published or failed.
update ops.run
set status = %(status)s, finished_at = %(finished_at)s, message = %(message)s, served = %(served)s,
    symbols_forecast = %(symbols_forecast)s
where run_id = %(run_id)s and status = 'running'
