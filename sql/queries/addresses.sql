select * from report.address where address_id <> 'prefect'
