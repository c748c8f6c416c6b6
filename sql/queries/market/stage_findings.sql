-- Staging table of findings.
create temporary table incoming_finding (
    symbol text, session date, rule text, value double precision, treatment text, reason text
) on commit drop
