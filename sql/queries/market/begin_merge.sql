-- Serialise loads, so that no two insert the same bar. The time is the database's: runs and the data they read use one clock.
-- It is read after the lock is held.
with held as materialized (select name from ops.lock where name = 'bellwether/market' for update)
select name, clock_timestamp() as known_at from held
