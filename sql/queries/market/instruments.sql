-- Instruments among the symbols, with the span of their bars and their last successful downloads.
select
    i.symbol, i.source, i.exchange_mic, i.currency_code, i.bar_interval, i.status, span.first_session, span.last_session,
    download.requested_at, download.whole_at
from market.instrument i
left join lateral (
    select min(session) as first_session, max(session) as last_session from market.daily_bar b where b.symbol = i.symbol
) span on true
left join lateral (
    select
        max(d.known_at) filter (where d.last_session >= span.last_session) as requested_at,
        max(d.known_at) filter (where d.first_session <= span.first_session) as whole_at
    from ops.download d
    where d.symbol = i.symbol and d.outcome = 'ok'
) download on true
where i.symbol = any(%(symbols)s)
order by i.symbol
