-- The caller holds the month's lock, so a run still marked as running has lost its process.
update ops.run
set status = 'abandoned', finished_at = %(now)s, message = 'its process ended without a word'
where source = %(source)s and universe = %(universe)s and origin_month = %(origin_month)s and status = 'running'
