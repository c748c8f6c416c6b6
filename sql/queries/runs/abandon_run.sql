-- The caller holds the month's lock, so a run still marked as running has lost its process.
update ops.run
set status = 'abandoned', finished_at = %(now)s, message = 'its process ended without a word'
where run_id = %(run_id)s and status = 'running'
