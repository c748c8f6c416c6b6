-- Status of every drift check of the universe's last published month before a month.
select d.horizon, d.measure, d.status
from ops.drift_check d
where d.run_id = (
    select run_id from report.published_run
    where source = %(source)s and universe = %(universe)s and origin_month < %(origin_month)s
    order by origin_month desc limit 1
)
order by d.horizon, d.measure
