-- Bars of the symbols up to a session, as known at a time: the current version if known then, else the version that the
-- next correction replaced.
select symbol, session, open, high, low, close, volume
from market.daily_bar
where symbol = any(%(symbols)s) and session <= %(as_of)s and known_at <= %(known_at)s
union all
select symbol, session, old_open, old_high, old_low, old_close, old_volume
from market.bar_revision
where symbol = any(%(symbols)s) and session <= %(as_of)s and old_known_at <= %(known_at)s and revised_at > %(known_at)s
order by symbol, session
