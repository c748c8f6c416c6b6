-- Store due dates of a monitored universe; past ones stay unchanged.
insert into ops.due_month as d (source, universe, origin_month, due_on)
select %(source)s, %(universe)s, m.origin_month, m.due_on
from unnest(%(origin_months)s::date[], %(due_dates)s::date[]) as m (origin_month, due_on)
on conflict (source, universe, origin_month) do update set due_on = excluded.due_on
where d.due_on <> excluded.due_on and d.due_on >= (%(now)s::timestamptz at time zone 'UTC')::date
