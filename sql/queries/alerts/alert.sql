-- One alert by its number.
select * from ops.alert where alert_id = %(alert_id)s
