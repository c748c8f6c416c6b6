-- Symbols whose next download may replace the stored history, with the first session of the accepted history.
select symbol, max(session) as session
from market.price_decision
where symbol = any(%(symbols)s) and kind = 'history' and applied_at is null and withdrawn_at is null
group by symbol
order by symbol
