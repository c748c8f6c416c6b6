-- Record the result of a delivery attempt.
update ops.delivery
set delivered_at = %(delivered_at)s, last_error = %(last_error)s
where alert_id = %(alert_id)s and recipient_id = %(recipient_id)s and event = %(event)s and number = %(number)s and delivered_at is null
