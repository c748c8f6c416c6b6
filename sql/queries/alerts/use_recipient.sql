-- Record that a recipient is in the setting now.
insert into ops.recipient as r (recipient_id, recipient, first_used_at, last_used_at)
values (%(recipient_id)s, %(recipient)s, %(now)s, %(now)s)
on conflict (recipient_id) do update
set recipient = excluded.recipient, last_used_at = greatest(r.last_used_at, excluded.last_used_at)
