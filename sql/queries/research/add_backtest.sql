-- Add a finished backtest.
insert into forecast.backtest (source, universe, first_origin, last_origin, refit, forecasters, symbols, config, software,
                               data_fingerprint, started_at, finished_at)
values (%(source)s, %(universe)s, %(first_origin)s, %(last_origin)s, %(refit)s, %(forecasters)s, %(symbols)s, %(config)s,
        %(software)s, %(data_fingerprint)s, %(started_at)s, %(finished_at)s)
returning backtest_id
