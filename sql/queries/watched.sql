select * from report.watched
