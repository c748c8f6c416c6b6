-- The run in force of every month: the highest correction.
create view report.published_run as
select distinct on (source, universe, origin_month)
    run_id, source, universe, origin_month, correction, as_of, known_at, served, is_retrospective, finished_at
from ops.run
where status = 'published'
order by source, universe, origin_month, correction desc;
comment on view report.published_run is 'One row per source, universe and origin month: the run in force, that is the last correction.';
