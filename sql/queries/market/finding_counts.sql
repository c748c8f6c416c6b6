-- Current findings of the symbols and of unreadable lines, counted by rule and treatment, with an example.
select
    rule, treatment, count(distinct symbol) as symbols, count(*) as findings,
    coalesce(min(symbol || ' ' || session), min(symbol), '') as example
from report.finding
where symbol = any(%(symbols)s) or symbol = ''
group by rule, treatment
order by rule, treatment
