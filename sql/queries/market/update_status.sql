-- A symbol is suspected when its source says that it has none; it is believed delisted when the source has said so on three
-- days or more, over four weeks or more, and never otherwise since. Answers that failed say nothing. History stays.
with silence as (
    select d.symbol, count(distinct (d.known_at at time zone 'UTC')::date) as days, max(d.known_at) - min(d.known_at) as span
    from ops.download d
    where d.symbol = any(%(symbols)s) and d.outcome = 'missing'
      and d.known_at > coalesce(
          (select max(o.known_at) from ops.download o where o.symbol = d.symbol and o.outcome = 'ok'), '-infinity'
      )
    group by d.symbol
)
update market.instrument i
set status = wanted.status
from (
    select symbol, case when days >= 3 and span >= interval '28 days' then 'delisted' else 'suspected' end as status from silence
    union all
    select symbol, 'active' from unnest(%(symbols)s::text[]) as asked (symbol) where symbol not in (select symbol from silence)
) wanted
where wanted.symbol = i.symbol and wanted.status <> i.status
