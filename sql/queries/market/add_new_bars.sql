-- Bars that are new. Loads take turns, so none of them can have come meanwhile, and a plain insert does: with a conflict
-- clause it takes half as long again.
insert into market.daily_bar (symbol, session, open, high, low, close, volume, known_at)
select symbol, session, open, high, low, close, volume, %(known_at)s
from changed_bar
where not is_revision
