-- Mark the accepted histories of a symbol as applied by a download.
update market.price_decision
set applied_at = %(known_at)s, session = coalesce(session, %(session)s)
where symbol = %(symbol)s and kind = 'history' and applied_at is null and withdrawn_at is null
