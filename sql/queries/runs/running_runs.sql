-- Running runs, and whether a process holds their month. The holder's transaction has locked the month's row of ops.lock
-- (hold_month), so its number is the row's xmax.
select
    r.run_id, r.source, r.universe, r.origin_month, r.started_at,
    exists (
        select from ops.lock l
        join pg_locks p on p.locktype = 'transactionid' and p.transactionid = l.xmax and p.mode = 'ExclusiveLock' and p.granted
        where l.name = r.source || '/' || r.universe || '/' || to_char(r.origin_month, 'YYYY-MM-DD')
    ) as is_held
from ops.run r
where r.status = 'running'
order by r.run_id
