-- The symbols a run was asked for, in its order: that in which the rows were written, as they are never changed.
select symbol from ops.symbol_outcome where run_id = %(run_id)s order by ctid
