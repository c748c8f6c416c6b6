-- A universe whose watch was ended is watched again from the month it is run for.
insert into ops.monitored_universe as w (source, universe, exchange_mics, due_sessions, first_month, monitored_since)
values (%(source)s, %(universe)s, %(exchange_mics)s, %(due_sessions)s, %(origin_month)s, %(now)s)
on conflict (source, universe) do update
set exchange_mics = excluded.exchange_mics, due_sessions = excluded.due_sessions, ended_at = null,
    first_month = case when w.ended_at is null then w.first_month else excluded.first_month end,
    monitored_since = case when w.ended_at is null then w.monitored_since else excluded.monitored_since end
where (w.exchange_mics, w.due_sessions, w.ended_at) is distinct from (excluded.exchange_mics, excluded.due_sessions, null::timestamptz)
