-- The run in force of every month: the highest correction.
create view report.published_run as
select distinct on (source, universe, origin_month)
    run_id, source, universe, origin_month, correction, as_of, known_at, served, is_retrospective, finished_at
from ops.run
where status = 'published'
order by source, universe, origin_month, correction desc;
comment on view report.published_run is 'One row per source, universe and origin month: the run in force, which is the highest correction.';
comment on column report.published_run.run_id is 'Number of the run, see report.run_history.';
comment on column report.published_run.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.published_run.universe is 'Name of the set of symbols.';
comment on column report.published_run.origin_month is 'Last complete month available to the forecasts, first day of the month.';
comment on column report.published_run.correction is '0 for the first published run of the month; each --rerun adds 1.';
comment on column report.published_run.as_of is 'Date of the last event that the run may use.';
comment on column report.published_run.known_at is 'Time of the last knowledge that the run may use, UTC.';
comment on column report.published_run.served is 'Published forecaster: hybrid or baseline.';
comment on column report.published_run.is_retrospective is 'True if the run started more than 31 days after as_of.';
comment on column report.published_run.finished_at is 'End of the run, UTC.';
