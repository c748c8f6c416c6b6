insert into ops.alert (kind, subject, severity, title, detail, look_deeper_sql, run_id, opened_at)
values (%(kind)s, %(subject)s, %(severity)s, %(title)s, %(detail)s, %(look_deeper_sql)s, %(run_id)s, %(opened_at)s)
on conflict (kind, subject) where resolved_at is null do nothing
