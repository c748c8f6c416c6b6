-- Decisions about the symbols in force at a time. A history is in force from the download that it admitted.
select symbol, session, kind, ratio, decided_by, decided_at
from market.price_decision
where symbol = any(%(symbols)s) and coalesce(applied_at, decided_at) <= %(known_at)s
  and (kind <> 'history' or applied_at is not null)
  and (withdrawn_at is null or withdrawn_at > %(known_at)s)
order by decision_id
