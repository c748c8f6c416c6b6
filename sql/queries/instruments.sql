-- The instruments among the symbols, with the span of their bars.
select i.symbol, i.source, i.exchange_mic, i.currency_code, i.status, span.first_session, span.last_session
from market.instrument i
left join lateral (
    select min(session) as first_session, max(session) as last_session from market.daily_bar b where b.symbol = i.symbol
) span on true
where i.symbol = any(%(symbols)s)
order by i.symbol
