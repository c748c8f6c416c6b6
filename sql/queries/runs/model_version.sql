-- One model version, with the origin month of the run that trained it.
select m.model_version_id, m.kind, m.parent_id, m.run_id, r.origin_month as trained_at_month, m.trained_through, m.holdout_start,
       m.holdout_end, m.seed, m.config, m.data_fingerprint, m.software, m.weights, m.weights_sha256, m.verdict, m.verdict_reason,
       m.verdict_numbers, m.created_at
from forecast.model_version m
join ops.run r using (run_id)
where m.model_version_id = %(model_version_id)s
