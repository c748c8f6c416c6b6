-- The newest checks of each horizon, and of these the one that is nearest to its threshold.
create view report.drift_check as
with newest as (
    select distinct on (r.source, r.universe, d.horizon) r.source, r.universe, d.horizon, r.origin_month, run_id
    from report.published_run r
    join ops.drift_check d using (run_id)
    order by r.source, r.universe, d.horizon, r.origin_month desc
)
select
    n.source, n.universe, n.horizon, d.measure, d.status, d.statistic, d.threshold, d.p_value, d.months_used, d.since_month,
    d.reason, n.origin_month, n.run_id
from newest n
join ops.drift_check d using (run_id, horizon)
order by n.source, n.universe, n.horizon, d.measure;
comment on view report.drift_check is 'One row per source, universe, horizon and measure watched: the newest checks.';
comment on column report.drift_check.measure is 'loss (CRPS against the reference_forecast), loss_against_baseline, calibration (too narrow) or staleness (does not follow the month''s news).';
comment on column report.drift_check.statistic is 'Sum of how much worse than usual the months were, in standard deviations, less an allowance; at the threshold it is an alarm.';
comment on column report.drift_check.since_month is 'Month from whose scores on the statistic has been above zero.';

create view report.drift_status as
select distinct on (d.source, d.universe, d.horizon)
    d.source, d.universe, d.horizon, d.status, d.statistic, d.threshold, d.p_value, d.months_used, d.reason, d.origin_month, d.run_id,
    d.measure, d.since_month,
    (
        select string_agg(format('%s %s %%', s.symbol, round((100 * s.share)::numeric)), ', ' order by s.share desc, s.symbol)
        from ops.drift_symbol s
        where s.run_id = d.run_id and s.horizon = d.horizon
    ) as symbols
from report.drift_check d
order by
    d.source, d.universe, d.horizon, array_position(array['alarm', 'warning', 'ok', 'not_enough_data'], d.status),
    d.statistic / nullif(d.threshold, 0) desc nulls last, d.measure;
comment on view report.drift_status is 'One row per source, universe and horizon watched: the newest verdict, that is the worst check.';
comment on column report.drift_status.status is 'ok, warning, alarm or not_enough_data.';
comment on column report.drift_status.measure is 'Measure of the worst check, see report.drift_check for all of them.';
comment on column report.drift_status.symbols is 'Symbols that contribute most to the loss above what is usual, with their shares of it; null without a warning.';

create view report.drift_month as
select
    r.source, r.universe, r.origin_month, w.horizon, (r.origin_month + w.horizon * interval '1 month')::date as target_month,
    w.measure, w.forecaster, w.symbols, w.value, w.expected, w.deviation, (w.value - w.expected) / w.deviation as surprise, w.run_id
from report.published_run r
join ops.drift_month w using (run_id)
order by r.source, r.universe, w.horizon, w.measure, r.origin_month;
comment on view report.drift_month is 'One row per published run, horizon and measure that could be scored: what the drift checks add up.';
comment on column report.drift_month.measure is 'loss, loss_against_baseline, calibration or staleness, which are watched, and coverage_80, coverage_95 and bias (mean PIT less one half), which inform.';
comment on column report.drift_month.value is 'Of loss: log of the mean CRPS over the reference_forecast''s, less the month''s luck; 0.05 is five per cent worse than the reference_forecast.';
comment on column report.drift_month.surprise is 'Value less what is usual, in standard deviations; of what is watched, higher is worse.';

create view report.input_status as
select distinct on (r.source, r.universe, i.input)
    r.source, r.universe, i.input, i.value, i.lowest, i.highest, i.is_unusual, r.origin_month, r.run_id
from report.published_run r
join ops.input_check i using (run_id)
order by r.source, r.universe, i.input, r.origin_month desc;
comment on view report.input_status is 'One row per source, universe and input (volatility, volume, missing): whether the newest month is like the ten years before it. It informs, and never raises an alert.';

create view report.run_history as
select
    run_id, source, universe, origin_month, correction, as_of, status, mode, served, symbols_requested, symbols_forecast, message,
    is_retrospective, started_at, finished_at, extract(epoch from finished_at - started_at) as duration_seconds
from ops.run
order by run_id desc;
comment on view report.run_history is 'One row per run, newest first.';

create view report.finding as
select symbol, session, rule, value, treatment, reason, found_at
from market.finding
where cleared_at is null
order by symbol, session, rule;
comment on view report.finding is 'One row per symbol, session and rule: what is wrong with a bar, and what is done about it before anything is trained on.';
comment on column report.finding.session is 'Session it is about, the first one of a stretch.';
comment on column report.finding.treatment is 'repaired (the reason says how); excluded (the bar is not used); rejected (the symbol is not used); kept (odd, and possible).';

create view report.data_quality as
select
    r.source, r.universe, r.origin_month, o.symbol, o.outcome, o.reason, o.last_session, o.months,
    (select count(*) from market.bar_revision b where b.symbol = o.symbol) as bars_revised,
    (select count(*) from report.finding f where f.symbol = o.symbol and f.treatment = 'excluded') as bars_excluded,
    (select count(*) from report.finding f where f.symbol = o.symbol and f.treatment = 'repaired') as bars_repaired,
    r.run_id
from report.published_run r
join ops.symbol_outcome o using (run_id);
comment on view report.data_quality is 'One row per published run and symbol asked for: whether its bars were good enough, and if not, why.';
comment on column report.data_quality.bars_revised is 'Bars of the symbol that the source corrected, ever.';
comment on column report.data_quality.bars_excluded is 'Bars of the symbol that are not used, see report.finding.';
comment on column report.data_quality.bars_repaired is 'Bars, splits or dividends of the symbol that are used otherwise than they came.';

create view report.monitored_universe as
select
    w.source, w.universe, w.due_sessions, w.exchange_mics, w.first_month, p.newest_origin_month, next.origin_month as next_origin_month,
    greatest(
        coalesce(d.due_on, (next.origin_month + interval '1 month')::date + 2 + w.due_sessions * 7 / 5),
        (w.monitored_since at time zone 'UTC')::date + 1
    ) as next_due_on, w.monitored_since
from ops.monitored_universe w
left join lateral (
    select max(origin_month) as newest_origin_month from report.published_run where source = w.source and universe = w.universe
) p on true
cross join lateral (
    select greatest(w.first_month, (p.newest_origin_month + interval '1 month')::date) as origin_month
) next
left join ops.due_month d on d.source = w.source and d.universe = w.universe and d.origin_month = next.origin_month
where w.ended_at is null
order by w.source, w.universe;
comment on view report.monitored_universe is 'One row per source and universe in regular service: which month is waited for, and until when.';
comment on column report.monitored_universe.due_sessions is 'A month is due at the end of this session, counted from the first one after it.';
comment on column report.monitored_universe.newest_origin_month is 'Newest month published; null: none yet.';
comment on column report.monitored_universe.next_origin_month is 'Month waited for.';
comment on column report.monitored_universe.next_due_on is 'Last day on which it is in time.';
comment on column report.monitored_universe.monitored_since is 'When the watch began, UTC. What was due earlier is due the day after.';

-- The dead man's switch: tables and the clock alone, whatever else is down. Where no due date was written ahead, weekdays and
-- two days more stand in for sessions.
create view report.overdue as
select
    w.source, w.universe, max(m.origin_month) as origin_month, w.newest_origin_month, min(m.due_on) as due_on,
    count(*) as months_overdue, (now() at time zone 'UTC')::date - min(m.due_on) as days_overdue,
    w.due_sessions, last.run_id as last_run_id, last.status as last_status, last.message as last_message
from report.monitored_universe w
cross join lateral (
    select month::date as origin_month,
           greatest(
               coalesce(d.due_on, (month + interval '1 month')::date + 2 + w.due_sessions * 7 / 5),
               (w.monitored_since at time zone 'UTC')::date + 1
           ) as due_on
    from generate_series(
        w.next_origin_month::timestamp, date_trunc('month', now() at time zone 'UTC') - interval '1 month', interval '1 month'
    ) as month
    left join ops.due_month d on d.source = w.source and d.universe = w.universe and d.origin_month = month::date
) m
left join lateral (
    select r.run_id, r.status, r.message from ops.run r
    where r.source = w.source and r.universe = w.universe
    order by r.run_id desc limit 1
) last on true
where m.due_on < (now() at time zone 'UTC')::date
group by w.source, w.universe, w.newest_origin_month, w.due_sessions, last.run_id, last.status, last.message;
comment on view report.overdue is
    'One row per source and universe in regular service with a month that is due and not published. Needs no program to run. Universes only ever run for past months, or no longer watched, are not in it.';
comment on column report.overdue.origin_month is 'Newest month that is due and not published.';
comment on column report.overdue.newest_origin_month is 'Newest month published; null: none yet.';
comment on column report.overdue.due_on is 'Last day on which the oldest of the missing months was in time.';
comment on column report.overdue.months_overdue is 'Months missing.';
comment on column report.overdue.days_overdue is 'Days since due_on.';
comment on column report.overdue.due_sessions is 'A month is due at the end of this session, counted from the first one after it.';
comment on column report.overdue.last_run_id is 'Newest run of the universe, of whichever month; null: none was ever begun.';

create view report.open_alert as
select
    a.alert_id, a.kind, a.subject, a.severity, a.title, a.detail, a.look_deeper_sql, a.run_id, a.origin_month, a.opened_at, a.changed_at,
    a.times_seen, a.acknowledged_at, told.recipients_notified, told.last_notified_at, told.messages_waiting
from ops.alert a
cross join lateral (
    select count(distinct recipient_id) filter (where delivered_at is not null) as recipients_notified,
           max(delivered_at) as last_notified_at, count(*) filter (where delivered_at is null) as messages_waiting
    from ops.delivery d where d.alert_id = a.alert_id and d.recipient_id <> 'prefect'
) told
where a.resolved_at is null;
comment on view report.open_alert is 'One row per alert that has not cleared.';
comment on column report.open_alert.recipients_notified is 'Addresses that have accepted a message about it.';
comment on column report.open_alert.last_notified_at is 'When one last did, UTC.';
comment on column report.open_alert.messages_waiting is 'Messages about it that were tried and not accepted yet.';

create view report.delivery as
select
    d.alert_id, a.kind, a.subject, d.event, d.number, t.recipient, d.attempts, d.first_attempt_at, d.last_attempt_at, d.delivered_at, d.last_error,
    case
        when d.delivered_at is not null then 'delivered'
        when d.event <> 'cleared' and a.resolved_at is not null then 'overtaken'
        else 'waiting'
    end as state
from ops.delivery d
join ops.alert a using (alert_id)
join ops.recipient t using (recipient_id)
order by d.last_attempt_at desc, d.alert_id desc;
comment on view report.delivery is 'One row per alert, recipient and message, newest first: what was told to whom, and what still waits.';
comment on column report.delivery.event is 'opened; reminder (its number beside it); cleared.';
comment on column report.delivery.recipient is 'Where to, without anything secret.';
comment on column report.delivery.state is 'delivered; waiting (tried again at the next run or watch); overtaken (the alert cleared before it could be told, and the message that it did says both).';

create view report.recipient as
select recipient, failed_rounds, failing_since, last_error, last_delivered_at, first_used_at, last_used_at, recipient_id
from ops.recipient
order by first_used_at, recipient;
comment on view report.recipient is 'One row per recipient alerts were ever to be delivered to, without anything secret.';
comment on column report.recipient.failed_rounds is 'Rounds of delivery in a row in which it accepted nothing; three open an alert.';
comment on column report.recipient.recipient_id is 'Fingerprint, by which it is known without being stored.';
