-- What a download can speak of: splits and dividends between its first and its last session.
create temporary table incoming_span on commit drop as
select symbol, min(session) as first_session, max(session) as last_session from incoming_bar group by symbol
