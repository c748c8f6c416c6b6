-- Decisions about doubtful prices, newest first; without withdrawn ones unless all are requested.
select * from report.price_decision where %(is_all)s or withdrawn_at is null order by decision_id desc limit %(limit)s
