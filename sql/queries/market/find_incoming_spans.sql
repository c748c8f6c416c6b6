-- Session span of every symbol's download: it is complete for splits and dividends within.
create temporary table incoming_span on commit drop as
select symbol, min(session) as first_session, max(session) as last_session from incoming_bar group by symbol
