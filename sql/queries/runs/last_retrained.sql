-- Last month, up to the given one, with a candidate trained from scratch, selected or not.
select r.origin_month
from forecast.candidate c
join ops.run r using (run_id)
where r.source = %(source)s and r.universe = %(universe)s and r.origin_month <= %(origin_month)s and c.candidate = 'retrain'
order by r.origin_month desc
limit 1
