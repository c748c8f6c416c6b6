-- Current time of the database's clock.
select clock_timestamp() as moment
