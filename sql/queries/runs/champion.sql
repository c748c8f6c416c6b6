-- Newest model version of a universe from a run up to a month, without refused versions.
select m.model_version_id, m.kind, m.parent_id, m.run_id, r.origin_month as trained_at_month, m.trained_through, m.holdout_start,
       m.holdout_end, m.seed, m.config, m.data_fingerprint, m.software, m.weights, m.weights_sha256, m.verdict, m.verdict_reason,
       m.verdict_numbers, m.created_at
from forecast.model_version m
join ops.run r using (run_id)
where m.source = %(source)s and m.universe = %(universe)s and r.origin_month <= %(origin_month)s
  and m.model_version_id <> all(%(refused)s::bigint[])
order by r.origin_month desc, m.model_version_id desc
limit 1
