-- Staging table of the paper's results.
create temporary table incoming_paper_result (like forecast.paper_result including defaults) on commit drop
