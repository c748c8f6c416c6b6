-- Lock a name; no row if another transaction holds it.
select name from ops.lock where name = %(name)s for update skip locked
