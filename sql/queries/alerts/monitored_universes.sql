select * from report.monitored_universe
