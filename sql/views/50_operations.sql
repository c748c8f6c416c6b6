-- Operations: drift, inputs, runs, data quality, overdue months, alerts and their delivery.

-- The checks of the newest checked month, per horizon.
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
comment on view report.drift_check is 'One row per source, universe, horizon and monitored measure: the newest checks.';
comment on column report.drift_check.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.drift_check.universe is 'Name of the set of symbols.';
comment on column report.drift_check.horizon is 'Months ahead, 1 to 12.';
comment on column report.drift_check.measure is 'loss (CRPS against the reference forecast), loss_against_baseline, calibration (intervals too narrow) or staleness (no reaction to the month''s news).';
comment on column report.drift_check.status is 'ok, warning, alarm or not_enough_data.';
comment on column report.drift_check.statistic is 'One-sided cumulative sum of the monthly deviations from the expected value, in standard deviations, less an allowance.';
comment on column report.drift_check.threshold is 'Value of the statistic that raises the alarm, in standard deviations; null with too few months.';
comment on column report.drift_check.p_value is 'Probability of a statistic this high without any change, 0 to 1.';
comment on column report.drift_check.months_used is 'Number of scored months in the check.';
comment on column report.drift_check.since_month is 'First month since which the statistic is above zero, first day of the month; null if it is zero.';
comment on column report.drift_check.reason is 'Explanation, one sentence.';
comment on column report.drift_check.origin_month is 'Origin month of the run, first day of the month.';
comment on column report.drift_check.run_id is 'Run of the check, see report.run_history.';

-- The worst check of each horizon: by status, then by the ratio of statistic and threshold.
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
comment on view report.drift_status is 'One row per source, universe and monitored horizon: the newest status, which is that of the worst check.';
comment on column report.drift_status.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.drift_status.universe is 'Name of the set of symbols.';
comment on column report.drift_status.horizon is 'Months ahead, 1 to 12.';
comment on column report.drift_status.status is 'ok, warning, alarm or not_enough_data.';
comment on column report.drift_status.statistic is 'Statistic of the worst check, in standard deviations, see report.drift_check.';
comment on column report.drift_status.threshold is 'Value of the statistic that raises the alarm, in standard deviations; null with too few months.';
comment on column report.drift_status.p_value is 'Probability of a statistic this high without any change, 0 to 1.';
comment on column report.drift_status.months_used is 'Number of scored months in the check.';
comment on column report.drift_status.reason is 'Explanation, one sentence.';
comment on column report.drift_status.origin_month is 'Origin month of the run, first day of the month.';
comment on column report.drift_status.run_id is 'Run of the check, see report.run_history.';
comment on column report.drift_status.measure is 'Measure of the worst check; report.drift_check has all checks.';
comment on column report.drift_status.since_month is 'First month since which the statistic is above zero, first day of the month; null if it is zero.';
comment on column report.drift_status.symbols is 'Symbols with the largest contributions to the loss above its expectation, with their shares in per cent; null without a warning.';

create view report.drift_month as
select
    r.source, r.universe, r.origin_month, m.horizon, (r.origin_month + m.horizon * interval '1 month')::date as target_month,
    m.measure, m.forecaster, m.symbols, m.value, m.expected, m.deviation, (m.value - m.expected) / m.deviation as surprise, m.run_id
from report.published_run r
join ops.drift_month m using (run_id)
order by r.source, r.universe, m.horizon, m.measure, r.origin_month;
comment on view report.drift_month is 'One row per published and scored run, horizon and measure: the monthly values behind the drift checks.';
comment on column report.drift_month.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.drift_month.universe is 'Name of the set of symbols.';
comment on column report.drift_month.origin_month is 'Origin month of the forecasts, first day of the month.';
comment on column report.drift_month.horizon is 'Months ahead, 1 to 12.';
comment on column report.drift_month.target_month is 'Month at whose end the outcome is measured, first day of the month.';
comment on column report.drift_month.measure is 'loss, loss_against_baseline, calibration or staleness (monitored); coverage_80, coverage_95 or bias, the mean PIT minus 0.5 (for information).';
comment on column report.drift_month.forecaster is 'Published forecaster: hybrid or baseline.';
comment on column report.drift_month.symbols is 'Number of symbols averaged.';
comment on column report.drift_month.value is 'Value of the measure. Of loss: log of the ratio of the mean CRPS to that of the reference forecast, less the control variate; 0.05 is five per cent worse than the reference forecast.';
comment on column report.drift_month.expected is 'Expected value of the measure for the model, in the same unit.';
comment on column report.drift_month.deviation is 'Standard deviation of the value from month to month, in the same unit.';
comment on column report.drift_month.surprise is 'Value minus expected, in standard deviations; a higher surprise of a monitored measure is worse.';
comment on column report.drift_month.run_id is 'Run that made the forecasts, see report.run_history.';

create view report.input_status as
select distinct on (r.source, r.universe, i.input)
    r.source, r.universe, i.input, i.value, i.lowest, i.highest, i.is_unusual, r.origin_month, r.run_id
from report.published_run r
join ops.input_check i using (run_id)
order by r.source, r.universe, i.input, r.origin_month desc;
comment on view report.input_status is 'One row per source, universe and input: comparison of the newest month with the ten years before it. For information: raises no alert.';
comment on column report.input_status.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.input_status.universe is 'Name of the set of symbols.';
comment on column report.input_status.input is 'volatility (monthly log return), volume (ratio to the mean of the previous year) or missing (share of the requested symbols).';
comment on column report.input_status.value is 'Value of the origin month, in the unit of the input; null if it cannot be computed.';
comment on column report.input_status.lowest is 'Lower bound, in the unit of the input; null without enough months.';
comment on column report.input_status.highest is 'Upper bound, in the unit of the input; null without enough months.';
comment on column report.input_status.is_unusual is 'True if the value lies outside the bounds.';
comment on column report.input_status.origin_month is 'Origin month of the run, first day of the month.';
comment on column report.input_status.run_id is 'Run of the check, see report.run_history.';

create view report.run_history as
select
    run_id, source, universe, origin_month, correction, as_of, status, mode, served, symbols_requested, symbols_forecast, message,
    is_retrospective, started_at, finished_at, extract(epoch from finished_at - started_at) as duration_seconds
from ops.run
order by run_id desc;
comment on view report.run_history is 'One row per run, newest first.';
comment on column report.run_history.run_id is 'Number of the run.';
comment on column report.run_history.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.run_history.universe is 'Name of the set of symbols.';
comment on column report.run_history.origin_month is 'Last complete month available to the forecasts, first day of the month.';
comment on column report.run_history.correction is '0 for the first published run of the month; each --rerun adds 1. The highest is in force.';
comment on column report.run_history.as_of is 'Date of the last event that the run may use.';
comment on column report.run_history.status is 'running, published, failed (see message) or abandoned (its process ended before the run did).';
comment on column report.run_history.mode is 'Selection of the model: auto, keep, retrain or baseline.';
comment on column report.run_history.served is 'Published forecaster: hybrid or baseline; null if nothing was published.';
comment on column report.run_history.symbols_requested is 'Number of symbols in the universe.';
comment on column report.run_history.symbols_forecast is 'Number of symbols with forecasts.';
comment on column report.run_history.message is 'Result or cause of the failure, one sentence.';
comment on column report.run_history.is_retrospective is 'True if the run started more than 31 days after as_of.';
comment on column report.run_history.started_at is 'Start, UTC.';
comment on column report.run_history.finished_at is 'End, UTC; null while running.';
comment on column report.run_history.duration_seconds is 'Duration, seconds; null while running.';

create view report.finding as
select symbol, session, rule, value, treatment, reason, found_at
from market.finding
where cleared_at is null
order by symbol, session, rule;
comment on view report.finding is 'One row per symbol, session and rule: a current fault of a bar and its treatment before training.';
comment on column report.finding.symbol is 'Symbol, see market.instrument; empty for an unreadable line of a file.';
comment on column report.finding.session is 'Session of the fault, the first one of several; null if unknown.';
comment on column report.finding.rule is 'Name of the rule, see docs/data.md.';
comment on column report.finding.value is 'Number that the rule tested, in the unit of the rule; null if it tests none.';
comment on column report.finding.treatment is 'repaired (the reason gives the change); excluded (the bar is not used); rejected (the symbol is not used); kept (unusual but possible).';
comment on column report.finding.reason is 'Explanation, one sentence.';
comment on column report.finding.found_at is 'Time of the first detection, UTC.';

create view report.price_decision as
select
    decision_id, symbol, session, kind, ratio, source, note, decided_by, decided_at, withdrawn_by, withdrawn_at, applied_at
from market.price_decision
order by decision_id desc;
comment on view report.price_decision is 'One row per decision of the operator about a doubtful price, newest first.';
comment on column report.price_decision.decision_id is 'Number of the decision.';
comment on column report.price_decision.symbol is 'Symbol, see market.instrument.';
comment on column report.price_decision.session is 'Session of the finding. history: first session of the accepted history, earlier bars are excluded; null: none are.';
comment on column report.price_decision.kind is 'split (the move is a split); unit (the earlier prices have another unit or currency); move (the move is real); history (the next download replaces the stored history).';
comment on column report.price_decision.ratio is 'split: new shares per old share. unit: factor of the earlier prices. Null for the other kinds.';
comment on column report.price_decision.source is 'Source of the newest bars at the time of the decision: sample, file or yahoo.';
comment on column report.price_decision.note is 'Note of the operator; may be empty.';
comment on column report.price_decision.decided_by is 'Operating system user who decided.';
comment on column report.price_decision.decided_at is 'Time of the decision, UTC.';
comment on column report.price_decision.withdrawn_by is 'Operating system user who withdrew it; null while in force.';
comment on column report.price_decision.withdrawn_at is 'Time of the withdrawal, UTC; null while in force.';
comment on column report.price_decision.applied_at is 'history: time of the download that it admitted, UTC; null before it, and for the other kinds.';

create view report.bar_source as
select b.symbol, d.source, min(b.session) as first_session, max(b.session) as last_session, count(*) as bars
from market.daily_bar b
join ops.download d using (symbol, known_at)
group by b.symbol, d.source
order by b.symbol, first_session;
comment on view report.bar_source is 'One row per symbol and source of its bars, in the newest known version.';
comment on column report.bar_source.symbol is 'Symbol, see market.instrument.';
comment on column report.bar_source.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.bar_source.first_session is 'First session with a bar of the source.';
comment on column report.bar_source.last_session is 'Last session with a bar of the source.';
comment on column report.bar_source.bars is 'Number of bars of the source.';

create view report.data_quality as
select
    r.source, r.universe, r.origin_month, o.symbol, o.outcome, o.reason, o.last_session, o.months,
    (select count(*) from market.bar_revision b where b.symbol = o.symbol) as bars_revised,
    (select count(*) from report.finding f where f.symbol = o.symbol and f.treatment = 'excluded') as bars_excluded,
    (select count(*) from report.finding f where f.symbol = o.symbol and f.treatment = 'repaired') as bars_repaired,
    r.run_id
from report.published_run r
join ops.symbol_outcome o using (run_id);
comment on view report.data_quality is 'One row per published run and requested symbol: the usability of its bars and the reason.';
comment on column report.data_quality.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.data_quality.universe is 'Name of the set of symbols.';
comment on column report.data_quality.origin_month is 'Origin month of the run, first day of the month.';
comment on column report.data_quality.symbol is 'Symbol, see market.instrument.';
comment on column report.data_quality.outcome is 'ok, stale, missing, rate_limited, source_error or rejected, see ops.symbol_outcome.';
comment on column report.data_quality.reason is 'Explanation, one sentence.';
comment on column report.data_quality.last_session is 'Last session with a bar up to as_of.';
comment on column report.data_quality.months is 'Number of complete months of history up to the origin month.';
comment on column report.data_quality.bars_revised is 'Number of corrections of the symbol''s bars by the source, up to now.';
comment on column report.data_quality.bars_excluded is 'Number of the symbol''s bars excluded now, see report.finding.';
comment on column report.data_quality.bars_repaired is 'Number of the symbol''s bars, splits and dividends repaired now, see report.finding.';
comment on column report.data_quality.run_id is 'Run, see report.run_history.';

create view report.monitored_universe as
select
    u.source, u.universe, u.due_sessions, u.exchange_mics, u.first_month, p.newest_origin_month, next.origin_month as next_origin_month,
    greatest(
        coalesce(d.due_on, (next.origin_month + interval '1 month')::date + 2 + u.due_sessions * 7 / 5),
        (u.monitored_since at time zone 'UTC')::date + 1
    ) as next_due_on, u.monitored_since
from ops.monitored_universe u
left join lateral (
    select max(origin_month) as newest_origin_month from report.published_run where source = u.source and universe = u.universe
) p on true
cross join lateral (
    select greatest(u.first_month, (p.newest_origin_month + interval '1 month')::date) as origin_month
) next
left join ops.due_month d on d.source = u.source and d.universe = u.universe and d.origin_month = next.origin_month
where u.ended_at is null
order by u.source, u.universe;
comment on view report.monitored_universe is 'One row per source and universe in regular service: the next month to be published and its due date.';
comment on column report.monitored_universe.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.monitored_universe.universe is 'Name of the set of symbols.';
comment on column report.monitored_universe.due_sessions is 'Number of sessions after the end of a month at whose end the month is due.';
comment on column report.monitored_universe.exchange_mics is 'ISO 10383 codes of the exchanges of its symbols; their sessions count.';
comment on column report.monitored_universe.first_month is 'First monitored origin month, first day of the month.';
comment on column report.monitored_universe.newest_origin_month is 'Newest published origin month, first day of the month; null without one.';
comment on column report.monitored_universe.next_origin_month is 'Next month to be published, first day of the month.';
comment on column report.monitored_universe.next_due_on is 'Last date of its publication in time.';
comment on column report.monitored_universe.monitored_since is 'Start of monitoring, UTC. Months due earlier are due on the following day.';

-- Depends only on tables and the clock, so that a stopped scheduler is visible too. Without a stored due date, sessions are
-- approximated by weekdays and two extra days.
create view report.overdue as
select
    u.source, u.universe, max(m.origin_month) as origin_month, u.newest_origin_month, min(m.due_on) as due_on,
    count(*) as months_overdue, (now() at time zone 'UTC')::date - min(m.due_on) as days_overdue,
    u.due_sessions, last.run_id as last_run_id, last.status as last_status, last.message as last_message
from report.monitored_universe u
cross join lateral (
    select month::date as origin_month,
           greatest(
               coalesce(d.due_on, (month + interval '1 month')::date + 2 + u.due_sessions * 7 / 5),
               (u.monitored_since at time zone 'UTC')::date + 1
           ) as due_on
    from generate_series(
        u.next_origin_month::timestamp, date_trunc('month', now() at time zone 'UTC') - interval '1 month', interval '1 month'
    ) as month
    left join ops.due_month d on d.source = u.source and d.universe = u.universe and d.origin_month = month::date
) m
left join lateral (
    select r.run_id, r.status, r.message from ops.run r
    where r.source = u.source and r.universe = u.universe
    order by r.run_id desc limit 1
) last on true
where m.due_on < (now() at time zone 'UTC')::date
group by u.source, u.universe, u.newest_origin_month, u.due_sessions, last.run_id, last.status, last.message;
comment on view report.overdue is 'One row per monitored source and universe with an overdue month, that is an unpublished month past its due date. Requires no running program. Universes without regular service are not in it.';
comment on column report.overdue.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.overdue.universe is 'Name of the set of symbols.';
comment on column report.overdue.origin_month is 'Newest overdue origin month, first day of the month.';
comment on column report.overdue.newest_origin_month is 'Newest published origin month, first day of the month; null without one.';
comment on column report.overdue.due_on is 'Due date of the oldest overdue month.';
comment on column report.overdue.months_overdue is 'Number of overdue months.';
comment on column report.overdue.days_overdue is 'Number of calendar days since due_on.';
comment on column report.overdue.due_sessions is 'Number of sessions after the end of a month at whose end the month is due.';
comment on column report.overdue.last_run_id is 'Newest run of the universe, for any month; null without one.';
comment on column report.overdue.last_status is 'Status of that run, see report.run_history.';
comment on column report.overdue.last_message is 'Message of that run, one sentence.';

create view report.open_alert as
select
    a.alert_id, a.kind, a.subject, a.severity, a.title, a.detail, a.look_deeper_sql, a.run_id, a.origin_month, a.opened_at, a.changed_at,
    a.times_seen, a.acknowledged_at, d.recipients_notified, d.last_notified_at, d.messages_waiting
from ops.alert a
cross join lateral (
    select count(distinct recipient_id) filter (where delivered_at is not null) as recipients_notified,
           max(delivered_at) as last_notified_at, count(*) filter (where delivered_at is null) as messages_waiting
    from ops.delivery where alert_id = a.alert_id and recipient_id <> 'prefect'
) d
where a.resolved_at is null;
comment on view report.open_alert is 'One row per open alert.';
comment on column report.open_alert.alert_id is 'Number of the alert, for example for bellwether alerts ack.';
comment on column report.open_alert.kind is 'drift, failed_run, coverage, overdue, damaged_model, delivery or database.';
comment on column report.open_alert.subject is 'Subject: source/universe, or the id of a recipient.';
comment on column report.open_alert.severity is 'warning or critical.';
comment on column report.open_alert.title is 'Summary, one line.';
comment on column report.open_alert.detail is 'Start, extent and remedy.';
comment on column report.open_alert.look_deeper_sql is 'Query for more detail.';
comment on column report.open_alert.run_id is 'Run that last raised it, see report.run_history; null without one.';
comment on column report.open_alert.origin_month is 'Origin month of the alert, first day of the month; null: no particular month.';
comment on column report.open_alert.opened_at is 'Time of the first detection, UTC.';
comment on column report.open_alert.changed_at is 'Time of the last change of title or severity, UTC; null without one.';
comment on column report.open_alert.times_seen is 'Number of detections.';
comment on column report.open_alert.acknowledged_at is 'Time of acknowledgement, UTC; null without one.';
comment on column report.open_alert.recipients_notified is 'Number of recipients that accepted a message about it.';
comment on column report.open_alert.last_notified_at is 'Time of the last accepted message about it, UTC.';
comment on column report.open_alert.messages_waiting is 'Number of messages about it that were tried and not yet accepted.';

create view report.delivery as
select
    d.alert_id, a.kind, a.subject, d.event, d.number, r.recipient, d.attempts, d.first_attempt_at, d.last_attempt_at, d.delivered_at, d.last_error,
    case
        when d.delivered_at is not null then 'delivered'
        when d.event <> 'cleared' and a.resolved_at is not null then 'superseded'
        else 'waiting'
    end as state
from ops.delivery d
join ops.alert a using (alert_id)
join ops.recipient r using (recipient_id)
order by d.last_attempt_at desc, d.alert_id desc;
comment on view report.delivery is 'One row per alert, recipient and message, newest first: delivered and waiting messages.';
comment on column report.delivery.alert_id is 'Number of the alert.';
comment on column report.delivery.kind is 'Kind of the alert, see report.open_alert.';
comment on column report.delivery.subject is 'Subject of the alert: source/universe, or the id of a recipient.';
comment on column report.delivery.event is 'opened, reminder or cleared.';
comment on column report.delivery.number is 'Number of the reminder, from 1; 0 for the other events.';
comment on column report.delivery.recipient is 'Address without secrets.';
comment on column report.delivery.attempts is 'Number of delivery attempts.';
comment on column report.delivery.first_attempt_at is 'Start of the round of the first attempt, UTC.';
comment on column report.delivery.last_attempt_at is 'Start of the round of the last attempt, UTC.';
comment on column report.delivery.delivered_at is 'Time of acceptance by the recipient, UTC; null: not delivered.';
comment on column report.delivery.last_error is 'Error of the last attempt.';
comment on column report.delivery.state is 'delivered; waiting (the next run or service check retries); superseded (the alert cleared before the delivery; the message about its clearing covers both).';

create view report.recipient as
select recipient, failed_rounds, failing_since, last_error, last_delivered_at, first_used_at, last_used_at, recipient_id
from ops.recipient
order by first_used_at, recipient;
comment on view report.recipient is 'One row per recipient of alerts, past and present, without secrets.';
comment on column report.recipient.recipient is 'Address without secrets.';
comment on column report.recipient.failed_rounds is 'Number of consecutive delivery rounds without an accepted message; three open an alert.';
comment on column report.recipient.failing_since is 'Start of the first of these rounds, UTC; null if there is none.';
comment on column report.recipient.last_error is 'Error of the last failed delivery; null after a success.';
comment on column report.recipient.last_delivered_at is 'Time of the last accepted message, UTC.';
comment on column report.recipient.first_used_at is 'First time in the setting, UTC.';
comment on column report.recipient.last_used_at is 'Last time in the setting, UTC.';
comment on column report.recipient.recipient_id is 'Fingerprint of the full address, which is not stored.';
