-- Replace corrected bars.
insert into market.daily_bar (symbol, session, open, high, low, close, volume, known_at)
select symbol, session, open, high, low, close, volume, %(known_at)s
from changed_bar
where is_revision
on conflict (symbol, session) do update
set open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume,
    known_at = excluded.known_at
where (daily_bar.open, daily_bar.high, daily_bar.low, daily_bar.close, daily_bar.volume)
      is distinct from (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume)
