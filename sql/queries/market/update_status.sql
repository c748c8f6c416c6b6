-- Update the status of the symbols: suspected if the source reports none; delisted if it reported none on three or more days
-- over four or more weeks, and no bars since. Failed downloads do not count. The history stays.
with absence as (
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
    select symbol, case when days >= 3 and span >= interval '28 days' then 'delisted' else 'suspected' end as status from absence
    union all
    select symbol, 'active' from unnest(%(symbols)s::text[]) as requested (symbol) where symbol not in (select symbol from absence)
) wanted
where wanted.symbol = i.symbol and wanted.status <> i.status
