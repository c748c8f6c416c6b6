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
comment on column report.drift_check.measure is 'loss (CRPS against the yardstick), loss_against_baseline, calibration (too narrow) or staleness (does not follow the month''s news).';
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
    w.measure, w.forecaster, w.symbols, w.value, w.usual, w.deviation, (w.value - w.usual) / w.deviation as surprise, w.run_id
from report.published_run r
join ops.watched_month w using (run_id)
order by r.source, r.universe, w.horizon, w.measure, r.origin_month;
comment on view report.drift_month is 'One row per published run, horizon and measure that could be scored: what the drift checks add up.';
comment on column report.drift_month.measure is 'loss, loss_against_baseline, calibration or staleness, which are watched, and coverage_80, coverage_95 and bias (mean PIT less one half), which inform.';
comment on column report.drift_month.value is 'Of loss: log of the mean CRPS over the yardstick''s, less the month''s luck; 0.05 is five per cent worse than the yardstick.';
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
    run_id, source, universe, origin_month, correction, as_of, status, mode, served, symbols_asked, symbols_forecast, message,
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

create view report.overdue as
with wanted as (
    -- A week of weekdays after a month's end leaves room for holidays, whatever the exchange.
    select (date_trunc('month', (now() at time zone 'UTC') - interval '9 days') - interval '1 month')::date as origin_month
)
select
    s.source, s.universe, wanted.origin_month, s.newest_origin_month,
    (wanted.origin_month + interval '1 month')::date + 9 as due_on
from wanted
cross join (
    select source, universe, max(origin_month) as newest_origin_month
    from report.published_run
    where not is_retrospective
    group by source, universe
) s
where s.newest_origin_month < wanted.origin_month;
comment on view report.overdue is
    'One row per source and universe in regular service whose last month is not published nine days into the next. Universes only ever run for past months are not watched.';

create view report.open_alert as
select alert_id, kind, subject, severity, title, detail, look_deeper_sql, run_id, opened_at, acknowledged_at
from ops.alert
where resolved_at is null;
comment on view report.open_alert is 'One row per alert that has not cleared.';
