-- Newest runs.
select * from report.run_history limit %(limit)s
