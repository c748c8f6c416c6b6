-- What an recipient is to be told, what was tried least first. It follows from the alerts and from what the recipient accepted so far:
-- an open alert that it has not heard of; a reminder, when the alert says something else than it did or the time has come and
-- nobody took note; and that an alert cleared, if there was an attempt to tell of it. An alert about an recipient is not told to it.
with told as (
    select
        alert_id, max(last_attempt_at) filter (where delivered_at is not null) as last_notified_at,
        bool_or(event = 'opened' and delivered_at is not null) as is_opened_delivered,
        bool_or(event = 'cleared' and delivered_at is not null) as is_cleared_told,
        count(*) filter (where event = 'reminder' and delivered_at is not null)::int as reminders_told
    from ops.delivery
    where recipient_id = %(recipient_id)s
    group by alert_id
), due as (
    select
        a.alert_id, a.kind, a.subject, a.severity, a.title, a.detail, a.look_deeper_sql, a.opened_at, a.acknowledged_at, a.resolved_at, a.times_seen,
        coalesce(t.is_opened_delivered, false) as is_opened_delivered,
        case
            when a.resolved_at is not null then 'cleared'
            when coalesce(t.is_opened_delivered, false) then 'reminder'
            else 'opened'
        end as event,
        case when a.resolved_at is null and t.is_opened_delivered then t.reminders_told + 1 else 0 end as number
    from ops.alert a
    left join told t using (alert_id)
    where (a.kind, a.subject) is distinct from ('delivery', %(recipient_id)s)
      and case
          when a.resolved_at is not null then t.alert_id is not null and not t.is_cleared_told
          when t.is_opened_delivered then
              a.changed_at > t.last_notified_at
              or a.acknowledged_at is null and %(reminder_days)s > 0
                 and t.last_notified_at <= %(now)s::timestamptz - make_interval(days => %(reminder_days)s)
          else true
      end
)
select due.*, coalesce(d.attempts, 0) as attempts
from due
left join ops.delivery d
    on d.alert_id = due.alert_id and d.recipient_id = %(recipient_id)s and d.event = due.event and d.number = due.number
order by attempts, due.alert_id
