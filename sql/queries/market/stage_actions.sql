-- Staging table of splits and dividends.
create temporary table incoming_action (symbol text, ex_date date, kind text, value double precision) on commit drop
