-- Insert a download older than the stored ones among the versions of its bars, as if it had been in time. Then write the
-- versions back: the newest to daily_bar, every other one to bar_revision beside its successor.
create temporary table late_bar on commit drop as
select * from incoming_bar where symbol = any(%(symbols)s);
delete from incoming_bar where symbol = any(%(symbols)s);
delete from changed_bar where symbol = any(%(symbols)s);

create temporary table bar_version on commit drop as
select symbol, session, r.old_known_at as known_at, r.old_open as open, r.old_high as high, r.old_low as low, r.old_close as close,
       r.old_volume as volume
from market.bar_revision r join late_bar using (symbol, session)
union all
select symbol, session, b.known_at, b.open, b.high, b.low, b.close, b.volume
from market.daily_bar b join late_bar using (symbol, session);
create unique index on bar_version (symbol, session, known_at);
analyze bar_version;

-- Each late bar between the version in force before it and the next one. A download between it and the next version
-- (`confirmed_at`) delivered the earlier version again.
create temporary table placed_bar on commit drop as
select
    l.symbol, l.session, before.known_at as before_at, after.known_at as after_at, confirmed.known_at as confirmed_at,
    coalesce(l.open, before.open) as open, coalesce(l.high, before.high) as high, coalesce(l.low, before.low) as low, l.close,
    coalesce(l.volume, before.volume) as volume,
    before.known_at is null
        or market.is_changed(l.close, before.close, %(price_tolerance)s) or market.is_changed(l.open, before.open, %(price_tolerance)s)
        or market.is_changed(l.high, before.high, %(price_tolerance)s) or market.is_changed(l.low, before.low, %(price_tolerance)s)
        or market.is_changed(l.volume, before.volume, %(volume_tolerance)s) as is_changed,
    confirmed.known_at is null and after.known_at is not null
        and not market.is_changed(after.close, l.close, %(price_tolerance)s)
        and not market.is_changed(after.open, coalesce(l.open, before.open), %(price_tolerance)s)
        and not market.is_changed(after.high, coalesce(l.high, before.high), %(price_tolerance)s)
        and not market.is_changed(after.low, coalesce(l.low, before.low), %(price_tolerance)s)
        and not market.is_changed(after.volume, coalesce(l.volume, before.volume), %(volume_tolerance)s) as is_repeated
from late_bar l
left join lateral (
    select * from bar_version v
    where v.symbol = l.symbol and v.session = l.session and v.known_at <= %(known_at)s
    order by v.known_at desc limit 1
) before on true
left join lateral (
    select * from bar_version v
    where v.symbol = l.symbol and v.session = l.session and v.known_at > %(known_at)s
    order by v.known_at limit 1
) after on true
left join lateral (
    select d.known_at from ops.download d
    where d.symbol = l.symbol and d.outcome = 'ok' and l.session between d.first_session and d.last_session
      and d.known_at > %(known_at)s and (after.known_at is null or d.known_at < after.known_at)
      and before.known_at is not null
    order by d.known_at limit 1
) confirmed on true;
delete from placed_bar where not is_changed;

insert into bar_version
select v.symbol, v.session, p.confirmed_at, v.open, v.high, v.low, v.close, v.volume
from placed_bar p join bar_version v on v.symbol = p.symbol and v.session = p.session and v.known_at = p.before_at
where p.confirmed_at is not null;
delete from bar_version v using placed_bar p
where v.symbol = p.symbol and v.session = p.session
  and (p.is_repeated and v.known_at = p.after_at or v.known_at = %(known_at)s);
insert into bar_version
select symbol, session, %(known_at)s, open, high, low, close, volume from placed_bar;

delete from market.bar_revision r using placed_bar p where r.symbol = p.symbol and r.session = p.session;
create temporary table ordered_version on commit drop as
select v.*, lead(v.known_at) over following as next_known_at, lead(v.open) over following as next_open,
       lead(v.high) over following as next_high, lead(v.low) over following as next_low,
       lead(v.close) over following as next_close, lead(v.volume) over following as next_volume
from bar_version v join placed_bar p using (symbol, session)
window following as (partition by v.symbol, v.session order by v.known_at);
insert into market.bar_revision
select symbol, session, next_known_at, open, high, low, close, volume, known_at, next_open, next_high, next_low, next_close, next_volume
from ordered_version where next_known_at is not null;
insert into market.daily_bar (symbol, session, open, high, low, close, volume, known_at)
select symbol, session, open, high, low, close, volume, known_at
from ordered_version where next_known_at is null
on conflict (symbol, session) do update
set open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume,
    known_at = excluded.known_at;
