-- A round in which an address accepted anything ends its failing.
update ops.address
set failed_rounds = case when %(is_accepting)s then 0 else failed_rounds + 1 end,
    failing_since = case when %(is_accepting)s then null else coalesce(failing_since, %(now)s) end,
    last_error = case when %(is_accepting)s then null else %(last_error)s end,
    last_delivered_at = case when %(is_accepting)s then %(now)s else last_delivered_at end
where address_id = %(address_id)s
