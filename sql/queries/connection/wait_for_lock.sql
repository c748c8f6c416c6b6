-- Lock a name; an error after the `lock_timeout`.
select name from ops.lock where name = %(name)s for update
