-- Store a decision about a doubtful price.
insert into market.price_decision (symbol, session, kind, ratio, source, note, decided_by, decided_at)
values (%(symbol)s, %(session)s, %(kind)s, %(ratio)s, %(source)s, %(note)s, %(decided_by)s, clock_timestamp())
returning decision_id
