-- Scores as stored: the program computes them, see docs/scores.md. The columns and their comments are those of the tables.
create view report.scorecard as
select * from forecast.scorecard;
comment on view report.scorecard is
    'One row per source, universe, model version (null: all versions together), forecaster (served, hybrid, baseline, persistence), horizon, symbol group and trailing window of target months. Errors are log returns, against the first known outcomes. For one row per forecaster, horizon and window, select model_version_id is null and symbol_group = ''all''.';

-- A separate view, so that report.scorecard holds published forecasts only.
create view report.backtest_scorecard as
select s.*
from forecast.backtest_scorecard s
join (
    select distinct on (source, universe, refit) backtest_id
    from forecast.backtest
    order by source, universe, refit, backtest_id desc
) newest using (backtest_id);
comment on view report.backtest_scorecard is
    'One row per source, universe, refit, forecaster, horizon and trailing window of target months, of the newest backtest of each. Columns as in report.scorecard, but months count equally, however many symbols they have.';

do $$
declare
    view_name text;
    col record;
begin
    foreach view_name in array array['scorecard', 'backtest_scorecard'] loop
        for col in
            select attname, col_description(attrelid, attnum) as description
            from pg_attribute
            where attrelid = format('forecast.%I', view_name)::regclass and attnum > 0 and not attisdropped
        loop
            execute format('comment on column report.%I.%I is %L', view_name, col.attname, col.description);
        end loop;
    end loop;
end
$$;
