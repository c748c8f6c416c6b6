-- Store an alert raised while the database was unreachable; a repeated call adds nothing.
insert into ops.alert (kind, subject, severity, title, detail, look_deeper_sql, opened_at, resolved_at)
select 'database', %(subject)s, 'critical', %(title)s, %(detail)s, %(look_deeper_sql)s, %(opened_at)s, greatest(%(now)s, %(opened_at)s)
where not exists (select from ops.alert where kind = 'database' and opened_at = %(opened_at)s)
returning alert_id
