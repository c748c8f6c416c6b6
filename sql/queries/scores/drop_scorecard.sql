-- Rows of all versions together, and those of some versions and horizons.
delete from forecast.scorecard s
where s.source = %(source)s and s.universe = %(universe)s
  and (
      s.model_version_id is null
      or (s.model_version_id, s.horizon) in (
          select * from unnest(%(model_version_ids)s::bigint[], %(horizons)s::smallint[])
      )
  )
