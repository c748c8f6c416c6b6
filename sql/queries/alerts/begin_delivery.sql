-- Count a delivery attempt before it is made; changes nothing once the message is delivered.
insert into ops.delivery as d (alert_id, recipient_id, event, number, attempts, first_attempt_at, last_attempt_at)
values (%(alert_id)s, %(recipient_id)s, %(event)s, %(number)s, 1, %(now)s, %(now)s)
on conflict (alert_id, recipient_id, event, number) do update
set attempts = d.attempts + 1, last_attempt_at = excluded.last_attempt_at, last_error = null
where d.delivered_at is null
