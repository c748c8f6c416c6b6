-- Messages due to a recipient, fewest attempts first. They follow from the alerts and from the messages it accepted: an open
-- alert not delivered yet; a reminder after a change of the alert, or after the reminder interval without acknowledgement; and a
-- cleared alert, if a message about it was attempted. An alert about a recipient is not sent to that recipient.
with notified as (
    select
        alert_id, max(last_attempt_at) filter (where delivered_at is not null) as last_notified_at,
        bool_or(event = 'opened' and delivered_at is not null) as is_opened_delivered,
        bool_or(event = 'cleared' and delivered_at is not null) as is_cleared_delivered,
        count(*) filter (where event = 'reminder' and delivered_at is not null)::int as reminders_delivered
    from ops.delivery
    where recipient_id = %(recipient_id)s
    group by alert_id
), due as (
    select
        a.alert_id, a.kind, a.subject, a.severity, a.title, a.detail, a.look_deeper_sql, a.opened_at, a.acknowledged_at, a.resolved_at, a.times_seen,
        coalesce(n.is_opened_delivered, false) as is_opened_delivered,
        case
            when a.resolved_at is not null then 'cleared'
            when coalesce(n.is_opened_delivered, false) then 'reminder'
            else 'opened'
        end as event,
        case when a.resolved_at is null and n.is_opened_delivered then n.reminders_delivered + 1 else 0 end as number
    from ops.alert a
    left join notified n using (alert_id)
    where (a.kind, a.subject) is distinct from ('delivery', %(recipient_id)s)
      and case
          when a.resolved_at is not null then n.alert_id is not null and not n.is_cleared_delivered
          when n.is_opened_delivered then
              a.changed_at > n.last_notified_at
              or a.acknowledged_at is null and %(reminder_days)s > 0
                 and n.last_notified_at <= %(now)s::timestamptz - make_interval(days => %(reminder_days)s)
          else true
      end
)
select due.*, coalesce(d.attempts, 0) as attempts
from due
left join ops.delivery d
    on d.alert_id = due.alert_id and d.recipient_id = %(recipient_id)s and d.event = due.event and d.number = due.number
order by attempts, due.alert_id
