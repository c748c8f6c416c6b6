-- Run in force of a month, if any.
select run_id, correction, as_of, served, finished_at
from report.published_run
where source = %(source)s and universe = %(universe)s and origin_month = %(origin_month)s
