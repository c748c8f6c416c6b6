-- Alerts that are told and told again until they clear, and the months that are waited for.
alter table ops.alert
    drop constraint alert_kind_check,
    add constraint alert_kind_check
        check (kind in ('drift', 'failed_run', 'coverage', 'overdue', 'damaged_model', 'delivery', 'database')),
    add column origin_month date check (extract(day from origin_month) = 1),
    add column changed_at   timestamptz,
    add column times_seen   integer not null default 1 check (times_seen > 0);
update ops.alert a set origin_month = r.origin_month from ops.run r where r.run_id = a.run_id;
comment on column ops.alert.kind is 'drift, failed_run, coverage, overdue, damaged_model, delivery or database.';
comment on column ops.alert.subject is 'What it is about: source/universe, or an address; one alert of a kind and subject is open at a time.';
comment on column ops.alert.run_id is 'Run that raised it last, if any.';
comment on column ops.alert.acknowledged_at is 'When a person took note, UTC: no reminders from then on. Taken back when title or severity change.';
comment on column ops.alert.origin_month is 'Month it is about; a run of an earlier month neither clears nor changes it. Null: whichever.';
comment on column ops.alert.changed_at is 'When its title or severity last changed after it was raised, UTC; null: never.';
comment on column ops.alert.times_seen is 'How often what it says was found so far.';

create table ops.address (
    address_id         text primary key,
    address            text not null,
    first_used_at      timestamptz not null,
    last_used_at       timestamptz not null,
    failed_rounds      integer not null default 0 check (failed_rounds >= 0),
    failing_since      timestamptz,
    last_error         text,
    last_delivered_at  timestamptz,
    check ((failed_rounds = 0) = (failing_since is null))
);
comment on table ops.address is 'One row per address that alerts were ever to be delivered to.';
comment on column ops.address.address_id is 'Fingerprint of the whole address, by which it is known without being stored.';
comment on column ops.address.address is 'The address without anything secret.';
comment on column ops.address.first_used_at is 'When it was first among the addresses set, UTC.';
comment on column ops.address.last_used_at is 'When it last was, UTC.';
comment on column ops.address.failed_rounds is 'Rounds of delivery in a row in which it accepted nothing.';
comment on column ops.address.failing_since is 'Start of the first of them, UTC.';
comment on column ops.address.last_error is 'Why not, the last time; null once it accepted again.';
comment on column ops.address.last_delivered_at is 'When it last accepted something, UTC.';

-- One row a message instead of one an attempt. No release wrote rows here; what a hand wrote is kept.
alter table ops.delivery rename to delivery_attempt;
insert into ops.address (address_id, address, first_used_at, last_used_at, last_delivered_at)
select 'unknown-' || md5(address), address, min(attempted_at), max(attempted_at),
       max(attempted_at) filter (where is_delivered)
from ops.delivery_attempt group by address;
create table ops.delivery (
    alert_id          bigint not null references ops.alert,
    address_id        text not null references ops.address,
    event             text not null check (event in ('opened', 'reminder', 'cleared')),
    number            integer not null default 0 check ((number > 0) = (event = 'reminder')),
    attempts          integer not null check (attempts > 0),
    first_attempt_at  timestamptz not null,
    last_attempt_at   timestamptz not null,
    delivered_at      timestamptz,
    last_error        text,
    primary key (alert_id, address_id, event, number)
);
insert into ops.delivery (alert_id, address_id, event, attempts, first_attempt_at, last_attempt_at, delivered_at, last_error)
select alert_id, 'unknown-' || md5(address), 'opened', count(*), min(attempted_at), max(attempted_at),
       min(attempted_at) filter (where is_delivered), (array_agg(reason order by attempted_at desc))[1]
from ops.delivery_attempt group by alert_id, address;
drop table ops.delivery_attempt;
comment on table ops.delivery is 'One row per alert, address and message: that it was opened, a reminder, that it cleared. The row is there before the message is sent.';
comment on column ops.delivery.alert_id is 'Alert, see ops.alert.';
comment on column ops.delivery.address_id is 'Where to, see ops.address.';
comment on column ops.delivery.event is 'opened, reminder or cleared.';
comment on column ops.delivery.number is 'Of a reminder, from 1; 0 for the others.';
comment on column ops.delivery.attempts is 'Times it was tried.';
comment on column ops.delivery.first_attempt_at is 'Start of the round in which it was first tried, UTC.';
comment on column ops.delivery.last_attempt_at is 'Start of the round in which it was last tried, UTC.';
comment on column ops.delivery.delivered_at is 'When the address accepted it, UTC; null: not yet.';
comment on column ops.delivery.last_error is 'Why not, the last time it was tried; null with delivered_at null: its process ended while it was being sent.';

create table ops.watched_universe (
    source         text not null,
    universe       text not null,
    exchange_mics  text[] not null check (cardinality(exchange_mics) > 0),
    due_sessions   integer not null check (due_sessions > 0),
    first_month    date not null check (extract(day from first_month) = 1),
    watched_since  timestamptz not null,
    ended_at       timestamptz,
    primary key (source, universe)
);
comment on table ops.watched_universe is 'One row per source and universe in regular service: a month of it that is not published in time is overdue.';
comment on column ops.watched_universe.source is 'Source of the bars, as in ops.run.';
comment on column ops.watched_universe.universe is 'Name of the set of symbols, as in ops.run.';
comment on column ops.watched_universe.exchange_mics is 'Exchanges of its symbols, ISO 10383; their sessions count.';
comment on column ops.watched_universe.due_sessions is 'A month is due at the end of this session, counted from the first one after it.';
comment on column ops.watched_universe.first_month is 'First origin month waited for.';
comment on column ops.watched_universe.watched_since is 'When the watch began, UTC: at a run in regular service. What was due earlier is due the day after.';
comment on column ops.watched_universe.ended_at is 'When a person ended the watch, UTC; null while it goes on.';

create table ops.due_month (
    source        text not null,
    universe      text not null,
    origin_month  date not null check (extract(day from origin_month) = 1),
    due_on        date not null,
    primary key (source, universe, origin_month),
    foreign key (source, universe) references ops.watched_universe
);
comment on table ops.due_month is 'One row per watched universe and month: when it is due. Written two years ahead from the exchanges'' calendars, so that no program need run for a month to be seen as overdue.';
comment on column ops.due_month.source is 'Source, see ops.watched_universe.';
comment on column ops.due_month.universe is 'Universe, see ops.watched_universe.';
comment on column ops.due_month.origin_month is 'Month to be published, first day of the month.';
comment on column ops.due_month.due_on is 'Last day on which it is in time.';

-- Universes in service before there was a watch list; the next run or watch writes their due dates.
insert into ops.watched_universe (source, universe, exchange_mics, due_sessions, first_month, watched_since)
select r.source, r.universe,
       coalesce(
           (select array_agg(distinct i.exchange_mic order by i.exchange_mic)
            from ops.symbol_outcome o join market.instrument i using (symbol) where o.run_id = max(r.run_id)),
           array['XNYS']
       ),
       5, max(r.origin_month), min(r.started_at)
from ops.run r
where not r.is_retrospective
group by r.source, r.universe;
