-- Open alerts, oldest first.
select * from report.open_alert order by opened_at
