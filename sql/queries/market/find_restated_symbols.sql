-- Symbols whose download contradicts the stored history as a whole: an unreported split, or prices on another basis.
select c.symbol
from changed_bar c
where c.is_revision and market.is_changed(c.close, c.stored_close, %(restated_move)s)
group by c.symbol
having count(*) >= %(restated_bars)s
   and count(*) >= %(restated_share)s * (
       select count(*) from incoming_bar i join market.daily_bar b using (symbol, session) where i.symbol = c.symbol
   )
order by c.symbol
