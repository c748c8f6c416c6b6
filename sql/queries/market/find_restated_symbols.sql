-- Symbols of which a download contradicts not a bar but the history: an unreported split, or prices of another kind.
select c.symbol
from changed_bar c
where c.is_revision and market.is_news(c.close, c.known_close, %(restated_move)s)
group by c.symbol
having count(*) >= %(restated_bars)s
   and count(*) >= %(restated_share)s * (
       select count(*) from incoming_bar i join market.daily_bar b using (symbol, session) where i.symbol = c.symbol
   )
order by c.symbol
