-- Current findings of a symbol that a decision can explain, the gravest and newest first.
select session, rule, value, treatment, reason
from report.finding
where symbol = %(symbol)s and rule = any(%(rules)s)
order by array_position(array['rejected', 'excluded', 'repaired', 'kept'], treatment), session desc
