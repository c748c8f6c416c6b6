-- Outcomes of a run's symbols.
select symbol, outcome, reason, last_session, months from ops.symbol_outcome where run_id = %(run_id)s order by symbol
