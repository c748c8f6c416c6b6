update ops.alert set resolved_at = %(now)s
where kind = %(kind)s and subject = %(subject)s and resolved_at is null
