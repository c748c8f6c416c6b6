-- Symbols of the newest published run of a universe, with the file that named them; no row without one.
select r.run_id, r.origin_month, r.parameters ->> 'universe' as universe_file, r.parameters ->> 'source' as source_spec, o.symbols
from (
    select run_id, origin_month, parameters
    from ops.run
    where source = %(source)s and universe = %(universe)s and status = 'published'
    order by run_id desc
    limit 1
) r
cross join lateral (
    select array_agg(symbol order by symbol) as symbols from ops.symbol_outcome where run_id = r.run_id
) o
where o.symbols is not null
