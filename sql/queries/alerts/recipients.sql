-- Recipients of alerts, without Prefect.
select * from report.recipient where recipient_id <> 'prefect'
