-- Keep the values that corrections replace. A retry at the same time leaves one revision, from the first old value to the
-- last new one.
insert into market.bar_revision
select
    b.symbol, b.session, %(known_at)s, b.open, b.high, b.low, b.close, b.volume, b.known_at,
    c.open, c.high, c.low, c.close, c.volume
from changed_bar c
join market.daily_bar b using (symbol, session)
where c.is_revision
on conflict (symbol, session, revised_at) do update
set new_open = excluded.new_open, new_high = excluded.new_high, new_low = excluded.new_low, new_close = excluded.new_close,
    new_volume = excluded.new_volume
