-- The newest model version of a universe that knew nothing after a month.
select m.model_version_id, m.kind, m.trained_through, m.judged_from, m.judged_through, m.verdict, m.verdict_reason, m.weights,
       m.weights_sha256, r.origin_month as trained_at_month
from forecast.model_version m
join ops.run r using (run_id)
where m.source = %(source)s and m.universe = %(universe)s and r.origin_month <= %(origin_month)s
order by r.origin_month desc, m.model_version_id desc
limit 1
