-- End the monitoring of a universe.
update ops.monitored_universe set ended_at = %(now)s where source = %(source)s and universe = %(universe)s and ended_at is null
