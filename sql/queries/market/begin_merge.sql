-- Serialise loads, so that no two insert the same bar. The time is the database's: runs and the data they read use one clock.
select pg_advisory_xact_lock(hashtextextended('bellwether/market', 0)), clock_timestamp() as known_at
