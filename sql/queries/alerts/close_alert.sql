-- Clear an open alert by hand.
update ops.alert set resolved_at = %(now)s where alert_id = %(alert_id)s and resolved_at is null
