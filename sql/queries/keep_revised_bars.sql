-- What the corrections replace stays retrievable.
insert into market.bar_revision
select
    b.symbol, b.session, %(known_at)s, b.open, b.high, b.low, b.close, b.volume, b.known_at,
    c.open, c.high, c.low, c.close, c.volume
from changed_bar c
join market.daily_bar b using (symbol, session)
where c.is_revision
