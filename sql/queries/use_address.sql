insert into ops.address as a (address_id, address, first_used_at, last_used_at)
values (%(address_id)s, %(address)s, %(now)s, %(now)s)
on conflict (address_id) do update
set address = excluded.address, last_used_at = greatest(a.last_used_at, excluded.last_used_at)
