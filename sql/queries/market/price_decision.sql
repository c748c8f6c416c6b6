-- One decision about a doubtful price.
select * from report.price_decision where decision_id = %(decision_id)s
