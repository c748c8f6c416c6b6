-- Sessions that keep a session waiting. Only an administrator or a member of the other role sees the start.
select format(
    'pid %%s (user %%s, application %%s%%s)', pid, coalesce(usename, '-'), coalesce(nullif(application_name, ''), '-'),
    case when coalesce(xact_start, backend_start) is not null
         then to_char(coalesce(xact_start, backend_start) at time zone 'UTC', '", since "YYYY-MM-DD HH24:MI:SS" UTC"') else '' end
)
from pg_stat_activity
where pid = any(pg_blocking_pids(%(pid)s))
order by xact_start nulls last
