-- Mark the month's running runs as abandoned. The caller holds the month's lock, so they have no process.
update ops.run
set status = 'abandoned', finished_at = %(now)s, message = 'its process ended before the run did'
where source = %(source)s and universe = %(universe)s and origin_month = %(origin_month)s and status = 'running'
