-- Newest download of a symbol that had a response with bars.
select outcome, reason, known_at from ops.download where symbol = %(symbol)s and outcome in ('ok', 'rejected') order by known_at desc limit 1
