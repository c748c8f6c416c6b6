-- Staging table of download outcomes.
create temporary table incoming_download (symbol text, outcome text, reason text, first_trade date) on commit drop
