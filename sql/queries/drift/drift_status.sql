-- Newest drift status of a universe, by horizon.
select * from report.drift_status where source = %(source)s and universe = %(universe)s order by horizon
