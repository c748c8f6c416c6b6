-- Record a notification that a recipient accepted while the database was unreachable.
insert into ops.delivery (alert_id, recipient_id, event, attempts, first_attempt_at, last_attempt_at, delivered_at)
values (%(alert_id)s, %(recipient_id)s, 'opened', 1, %(now)s, %(now)s, %(now)s)
on conflict do nothing
