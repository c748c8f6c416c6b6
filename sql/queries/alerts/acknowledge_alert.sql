-- Acknowledge an open alert that is not acknowledged yet.
update ops.alert set acknowledged_at = %(now)s where alert_id = %(alert_id)s and resolved_at is null and acknowledged_at is null
