-- Freeze the knowledge of a run at the end of its download: later corrections belong to later runs.
update ops.run set known_at = clock_timestamp() where run_id = %(run_id)s returning known_at
