-- Monitor a universe; one whose monitoring had ended restarts with the month of this run.
insert into ops.monitored_universe as u (source, universe, exchange_mics, due_sessions, first_month, monitored_since)
values (%(source)s, %(universe)s, %(exchange_mics)s, %(due_sessions)s, %(origin_month)s, %(now)s)
on conflict (source, universe) do update
set exchange_mics = excluded.exchange_mics, due_sessions = excluded.due_sessions, ended_at = null,
    first_month = case when u.ended_at is null then u.first_month else excluded.first_month end,
    monitored_since = case when u.ended_at is null then u.monitored_since else excluded.monitored_since end
where (u.exchange_mics, u.due_sessions, u.ended_at) is distinct from (excluded.exchange_mics, excluded.due_sessions, null::timestamptz)
