-- Record a delivery round of a recipient; any accepted message resets its failures.
update ops.recipient
set failed_rounds = case when %(is_accepting)s then 0 else failed_rounds + 1 end,
    failing_since = case when %(is_accepting)s then null else coalesce(failing_since, %(now)s) end,
    last_error = case when %(is_accepting)s then null else %(last_error)s end,
    last_delivered_at = case when %(is_accepting)s then %(now)s else last_delivered_at end
where recipient_id = %(recipient_id)s
