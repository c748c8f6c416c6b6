-- Instruments among the symbols, with the span of their bars, their last successful downloads and the sources of their bars.
select
    i.symbol, coalesce(newest.source, i.source) as source, i.exchange_mic, i.currency_code, i.bar_interval, i.status,
    span.first_session, span.last_session, download.requested_at, download.whole_at, download.whole_downloads,
    download.first_trade, other.session as other_source_until
from market.instrument i
left join lateral (
    select min(session) as first_session, max(session) as last_session from market.daily_bar b where b.symbol = i.symbol
) span on true
left join lateral (
    select d.source
    from market.daily_bar b
    join ops.download d on d.symbol = b.symbol and d.known_at = b.known_at
    where b.symbol = i.symbol and b.session = span.last_session
) newest on true
left join lateral (
    select
        max(d.known_at) filter (where d.last_session >= span.last_session) as requested_at,
        max(d.known_at) filter (where d.first_session <= span.first_session) as whole_at,
        count(*) filter (where d.first_session = span.first_session and d.first_trade is not null) as whole_downloads,
        (array_agg(d.first_trade order by d.known_at desc) filter (where d.first_trade is not null))[1] as first_trade,
        count(distinct d.source) as sources
    from ops.download d
    where d.symbol = i.symbol and d.outcome = 'ok'
) download on true
-- Last session with a bar of another source than the newest, if the symbol has bars of several.
left join lateral (
    select max(b.session) as session
    from market.daily_bar b
    join ops.download d on d.symbol = b.symbol and d.known_at = b.known_at
    where download.sources > 1 and b.symbol = i.symbol and d.source <> newest.source
) other on true
where i.symbol = any(%(symbols)s)
order by i.symbol
