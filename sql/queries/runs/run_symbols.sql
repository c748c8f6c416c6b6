-- Requested symbols of a run in their original order, which is that of insertion: rows never change.
select symbol from ops.symbol_outcome where run_id = %(run_id)s order by ctid
