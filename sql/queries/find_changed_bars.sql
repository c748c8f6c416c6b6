-- Of the incoming bars, those that are new or differ beyond tolerance. A value once known is not replaced by a missing one.
create temporary table changed_bar on commit drop as
select
    i.symbol, i.session,
    coalesce(i.open, b.open) as open, coalesce(i.high, b.high) as high, coalesce(i.low, b.low) as low, i.close,
    coalesce(i.volume, b.volume) as volume,
    b.symbol is not null as is_revision
from incoming_bar i
left join market.daily_bar b using (symbol, session)
where b.symbol is null
   or abs(i.close - b.close) > %(price_tolerance)s * b.close
   or i.open is not null and (b.open is null or abs(i.open - b.open) > %(price_tolerance)s * b.open)
   or i.high is not null and (b.high is null or abs(i.high - b.high) > %(price_tolerance)s * b.high)
   or i.low is not null and (b.low is null or abs(i.low - b.low) > %(price_tolerance)s * b.low)
   or i.volume is not null and (b.volume is null or abs(i.volume - b.volume) > %(volume_tolerance)s * b.volume)
