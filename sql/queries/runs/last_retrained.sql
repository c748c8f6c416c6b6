-- The last month, up to the given one, in which a model trained from scratch was compared, whether or not it was chosen.
select r.origin_month
from forecast.candidate c
join ops.run r using (run_id)
where r.source = %(source)s and r.universe = %(universe)s and r.origin_month <= %(origin_month)s and c.candidate = 'retrain'
order by r.origin_month desc
limit 1
