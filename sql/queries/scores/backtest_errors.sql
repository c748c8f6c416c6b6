-- Errors of one backtest by month.
select * from forecast.backtest_error where backtest_id = %(backtest_id)s
