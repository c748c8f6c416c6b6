select * from report.recipient where recipient_id <> 'prefect'
