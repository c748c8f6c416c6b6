-- The end of a run's download is what it knows: later corrections belong to later runs.
update ops.run set known_at = clock_timestamp() where run_id = %(run_id)s returning known_at
