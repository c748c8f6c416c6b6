-- Insert new bars. Loads are serialised, so none of the bars exists, and a plain insert is enough: a conflict clause takes
-- half as long again.
insert into market.daily_bar (symbol, session, open, high, low, close, volume, known_at)
select symbol, session, open, high, low, close, volume, %(known_at)s
from changed_bar
where not is_revision
