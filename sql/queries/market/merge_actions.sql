-- Merge the splits and dividends of a download. Stored ones that it lacks, though it covers the sessions around the ex-date,
-- are withdrawn (split 1, dividend 0). Dividends derived from rounded prices fluctuate, so a dividend counts as changed only if
-- the difference exceeds the tolerance as a share of the last close before the ex-date.
create temporary table placed_action on commit drop as
with delivered as (
    select symbol, ex_date, kind, value from incoming_action
    union all
    select distinct a.symbol, a.ex_date, a.kind, case a.kind when 'split' then 1.0 else 0.0 end
    from market.corporate_action a
    join incoming_span s on s.symbol = a.symbol and a.ex_date > s.first_session and a.ex_date <= s.last_session
    where %(knows_actions)s
      and not exists (
          select from incoming_action i where i.symbol = a.symbol and i.ex_date = a.ex_date and i.kind = a.kind
      )
)
select
    s.symbol, s.ex_date, s.kind, s.value, before.known_at as before_at, after.known_at as after_at,
    confirmed.known_at as confirmed_at,
    coalesce(before.value, neutral.value) as before_value,
    abs(s.value - coalesce(before.value, neutral.value)) > %(tolerance)s * scale.value as is_changed,
    after.known_at is not null and confirmed.known_at is null
        and abs(after.value - s.value) <= %(tolerance)s * scale.value as is_repeated
from delivered s
cross join lateral (select case s.kind when 'split' then 1.0 else 0.0 end as value) neutral
left join lateral (
    select a.known_at, a.value from market.corporate_action a
    where a.symbol = s.symbol and a.ex_date = s.ex_date and a.kind = s.kind and a.known_at <= %(known_at)s
    order by a.known_at desc limit 1
) before on true
left join lateral (
    select a.known_at, a.value from market.corporate_action a
    where a.symbol = s.symbol and a.ex_date = s.ex_date and a.kind = s.kind and a.known_at > %(known_at)s
    order by a.known_at limit 1
) after on true
left join lateral (
    select d.known_at from ops.download d
    where d.symbol = s.symbol and d.outcome = 'ok' and s.ex_date > d.first_session and s.ex_date <= d.last_session
      and d.known_at > %(known_at)s and (after.known_at is null or d.known_at < after.known_at)
    order by d.known_at limit 1
) confirmed on true
left join lateral (
    select b.close from market.daily_bar b
    where b.symbol = s.symbol and b.session < s.ex_date
    order by b.session desc limit 1
) priced on true
cross join lateral (
    select case s.kind when 'split' then s.value else coalesce(priced.close, s.value) end as value
) scale;
delete from placed_action where not is_changed;

insert into market.corporate_action (symbol, ex_date, kind, known_at, value)
select symbol, ex_date, kind, confirmed_at, before_value from placed_action where confirmed_at is not null;
delete from market.corporate_action a using placed_action p
where a.symbol = p.symbol and a.ex_date = p.ex_date and a.kind = p.kind and p.is_repeated and a.known_at = p.after_at;
-- A retry at the same time replaces the value.
insert into market.corporate_action (symbol, ex_date, kind, known_at, value)
select symbol, ex_date, kind, %(known_at)s, value from placed_action
on conflict (symbol, ex_date, kind, known_at) do update set value = excluded.value;
