-- The row that a process locks to hold a name.
insert into ops.lock (name) values (%(name)s) on conflict do nothing
