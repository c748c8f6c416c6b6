-- Newest download of a symbol.
select outcome, reason, known_at from ops.download where symbol = %(symbol)s order by known_at desc limit 1
