select clock_timestamp() as moment
