-- Symbols with a stored download newer than this one.
select distinct symbol
from ops.download
where symbol = any(%(symbols)s) and outcome = 'ok' and known_at > %(known_at)s
order by symbol
