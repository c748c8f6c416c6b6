-- Candidates of a run, the baseline last.
select candidate, model_version_id, holdout_months, crps, baseline_crps, persistence_crps, p_value, is_served, reason
from forecast.candidate
where run_id = %(run_id)s
order by array_position(array['keep', 'fine_tune', 'retrain', 'baseline'], candidate)
