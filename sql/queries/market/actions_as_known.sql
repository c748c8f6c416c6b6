-- Splits and dividends of the symbols with ex-dates up to a date, as known at a time, without withdrawn ones.
select symbol, ex_date, kind, value
from (
    select distinct on (symbol, ex_date, kind) symbol, ex_date, kind, value
    from market.corporate_action
    where symbol = any(%(symbols)s) and ex_date <= %(as_of)s and known_at <= %(known_at)s
    order by symbol, ex_date, kind, known_at desc
) newest
where value <> case kind when 'split' then 1 else 0 end
order by symbol, ex_date, kind
