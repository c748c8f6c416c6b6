create temporary table incoming_instrument (symbol text, exchange_mic text, currency_code text) on commit drop
