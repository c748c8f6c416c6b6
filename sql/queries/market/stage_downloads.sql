-- Staging table of download outcomes.
create temporary table incoming_download (symbol text, outcome text, reason text) on commit drop
