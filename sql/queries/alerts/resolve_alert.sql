-- What a run of an earlier month found says nothing about a later one.
update ops.alert set resolved_at = %(now)s
where kind = %(kind)s and subject = %(subject)s and resolved_at is null
  and (origin_month is null or origin_month <= coalesce(
      %(origin_month)s::date, (select origin_month from ops.run where run_id = %(run_id)s), 'infinity'))
