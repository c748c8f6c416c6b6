-- Mark a run as abandoned. The caller holds the month's lock, so a run still marked as running has no process.
update ops.run
set status = 'abandoned', finished_at = %(now)s, message = 'its process ended before the run did'
where run_id = %(run_id)s and status = 'running'
