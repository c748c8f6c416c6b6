-- Alerts with their notifications, open ones first, then newest first.
select a.alert_id, a.kind, a.subject, a.severity, a.title, a.opened_at, a.acknowledged_at, a.resolved_at, a.detail, a.look_deeper_sql,
       a.times_seen, o.recipients_notified, o.messages_waiting
from ops.alert a
left join report.open_alert o using (alert_id)
where a.resolved_at is null or %(is_all)s
order by a.resolved_at is not null, a.alert_id desc
limit %(limit)s
