-- The schema of the views. sql.migrate adds its comment.
create schema if not exists report;
