-- New or changed splits and dividends. Dividends read off rounded prices wobble, so a dividend has changed when the return
-- it gives has: when the difference is beyond tolerance as a share of the last close before the ex-date.
insert into market.corporate_action (symbol, ex_date, kind, known_at, value)
select i.symbol, i.ex_date, i.kind, %(known_at)s, i.value
from incoming_action i
left join lateral (
    select a.value from market.corporate_action a
    where a.symbol = i.symbol and a.ex_date = i.ex_date and a.kind = i.kind
    order by a.known_at desc limit 1
) known on true
left join lateral (
    select b.close from market.daily_bar b
    where b.symbol = i.symbol and b.session < i.ex_date
    order by b.session desc limit 1
) before on true
where known.value is null
   or abs(i.value - known.value) > %(tolerance)s * case i.kind when 'split' then known.value else coalesce(before.close, known.value) end
-- A step retried at the same moment: the last word counts.
on conflict (symbol, ex_date, kind, known_at) do update set value = excluded.value
