-- Add a model version of a run.
insert into forecast.model_version (source, universe, kind, parent_id, run_id, trained_through, holdout_start, holdout_end, seed,
                                    config, data_fingerprint, software, weights, weights_sha256, verdict, verdict_reason,
                                    verdict_numbers, created_at)
select r.source, r.universe, %(kind)s, %(parent_id)s, r.run_id, %(trained_through)s, %(holdout_start)s, %(holdout_end)s, %(seed)s,
       %(config)s, %(data_fingerprint)s, r.software, %(weights)s, %(weights_sha256)s, %(verdict)s, %(verdict_reason)s,
       %(verdict_numbers)s, %(created_at)s
from ops.run r
where r.run_id = %(run_id)s
returning model_version_id
