-- Staging table of bars.
create temporary table incoming_bar (
    symbol text, session date, open double precision, high double precision, low double precision, close double precision,
    volume bigint
) on commit drop
