-- Withdraw a decision that is in force.
update market.price_decision
set withdrawn_by = %(withdrawn_by)s, withdrawn_at = clock_timestamp()
where decision_id = %(decision_id)s and withdrawn_at is null and applied_at is null
