-- Exclude symbols from the load.
with bars as (delete from incoming_bar where symbol = any(%(symbols)s)),
     actions as (delete from incoming_action where symbol = any(%(symbols)s))
delete from changed_bar where symbol = any(%(symbols)s)
