-- Staging table of instruments.
create temporary table incoming_instrument (symbol text, exchange_mic text, currency_code text, bar_interval text) on commit drop
