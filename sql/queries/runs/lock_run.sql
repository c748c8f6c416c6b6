-- Status of a run; no other transaction changes it until the end of this one.
select status from ops.run where run_id = %(run_id)s for update
