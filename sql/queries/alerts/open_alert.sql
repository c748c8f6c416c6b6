-- Open an alert or, if it is open already, count one more detection with the newest text. A new title or severity resets the
-- acknowledgement. A run of an earlier month changes nothing.
insert into ops.alert as a (kind, subject, severity, title, detail, look_deeper_sql, run_id, origin_month, opened_at)
values (%(kind)s, %(subject)s, %(severity)s, %(title)s, %(detail)s, %(look_deeper_sql)s, %(run_id)s,
        coalesce(%(origin_month)s::date, (select origin_month from ops.run where run_id = %(run_id)s)), %(opened_at)s)
on conflict (kind, subject) where resolved_at is null do update
set severity = excluded.severity, title = excluded.title, detail = excluded.detail, look_deeper_sql = excluded.look_deeper_sql,
    run_id = excluded.run_id, origin_month = coalesce(excluded.origin_month, a.origin_month), times_seen = a.times_seen + 1,
    changed_at = case when (a.title, a.severity) = (excluded.title, excluded.severity) then a.changed_at else excluded.opened_at end,
    acknowledged_at = case when (a.title, a.severity) = (excluded.title, excluded.severity) then a.acknowledged_at end
where a.origin_month is null or excluded.origin_month is null or excluded.origin_month >= a.origin_month
