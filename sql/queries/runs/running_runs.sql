-- Running runs, and whether a process holds their month; the lock is that of `hold_month`.
select
    r.run_id, r.source, r.universe, r.origin_month, r.started_at,
    exists (
        select from pg_locks l
        where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
          and l.database = (select oid from pg_database where datname = current_database())
          and (l.classid::bigint << 32 | l.objid::bigint)
              = hashtextextended(r.source || '/' || r.universe || '/' || to_char(r.origin_month, 'YYYY-MM-DD'), 0)
    ) as is_held
from ops.run r
where r.status = 'running'
order by r.run_id
