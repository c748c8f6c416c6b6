-- Incoming bars that are new or differ beyond tolerance. A missing value never replaces a stored one.
create temporary table changed_bar on commit drop as
select
    i.symbol, i.session,
    coalesce(i.open, b.open) as open, coalesce(i.high, b.high) as high, coalesce(i.low, b.low) as low, i.close,
    coalesce(i.volume, b.volume) as volume,
    b.symbol is not null as is_revision, b.close as stored_close
from incoming_bar i
left join market.daily_bar b using (symbol, session)
where b.symbol is null
   or market.is_changed(i.close, b.close, %(price_tolerance)s)
   or market.is_changed(i.open, b.open, %(price_tolerance)s)
   or market.is_changed(i.high, b.high, %(price_tolerance)s)
   or market.is_changed(i.low, b.low, %(price_tolerance)s)
   or market.is_changed(i.volume, b.volume, %(volume_tolerance)s)
