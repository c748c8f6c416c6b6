-- One load at a time, so that none takes a bar for new that another one is writing. The moment is the database's own: a run
-- and all that it reads are dated by one clock.
select pg_advisory_xact_lock(hashtextextended('bellwether/market', 0)), clock_timestamp() as known_at
