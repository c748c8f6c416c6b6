-- Clear an open alert, unless it is about a later month than the given one or than the run's.
update ops.alert set resolved_at = %(now)s
where kind = %(kind)s and subject = %(subject)s and resolved_at is null
  and (origin_month is null or origin_month <= coalesce(
      %(origin_month)s::date, (select origin_month from ops.run where run_id = %(run_id)s), 'infinity'))
