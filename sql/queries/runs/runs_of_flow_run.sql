-- The runs that one flow run started, in their order: several for a catch-up.
select run_id, status, message from ops.run where flow_run_id = %(flow_run_id)s::uuid order by run_id
