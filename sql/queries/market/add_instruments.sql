-- Add unknown instruments; known ones stay unchanged.
insert into market.instrument (symbol, source, exchange_mic, currency_code, bar_interval, known_at)
select symbol, %(source)s, exchange_mic, currency_code, bar_interval, %(known_at)s from incoming_instrument
on conflict (symbol) do nothing
