-- What the errors of every run and horizon that just got some add up to now.
delete from forecast.month_score m using incoming_error i where m.run_id = i.run_id and m.horizon = i.horizon;
insert into forecast.month_score
select s.*
from (select distinct run_id, horizon from incoming_error) as i
cross join lateral forecast.score_month(i.run_id, i.horizon) as s
