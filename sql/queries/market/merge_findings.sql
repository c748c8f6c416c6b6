-- Store new, changed and recurring findings, and clear those of the applied rules that are absent now.
insert into market.finding (symbol, session, rule, value, treatment, reason, found_at)
select distinct on (symbol, session, rule) symbol, session, rule, value, treatment, reason, %(known_at)s::timestamptz
from incoming_finding
order by symbol, session, rule
on conflict (symbol, session, rule) do update
set value = excluded.value, treatment = excluded.treatment, reason = excluded.reason, cleared_at = null
where (finding.value, finding.treatment, finding.reason, finding.cleared_at)
      is distinct from (excluded.value, excluded.treatment, excluded.reason, null::timestamptz);
update market.finding f
set cleared_at = %(known_at)s
where f.symbol = any(%(symbols)s) and f.rule = any(%(rules)s) and f.session <= %(as_of)s and f.cleared_at is null
  and not exists (
      select from incoming_finding i where i.symbol = f.symbol and i.session is not distinct from f.session and i.rule = f.rule
  );
