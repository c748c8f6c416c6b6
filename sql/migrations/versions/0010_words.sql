-- Tables, columns, constraints and stored keys get the terms of the field; a run stores its configuration. No other row changes.
alter table forecast.candidate rename column months_judged to holdout_months;
alter table forecast.model_version rename column judged_from to holdout_start;
alter table forecast.model_version rename column judged_through to holdout_end;
alter table forecast.watch_reference rename to drift_expectation;

alter table ops.watched_month rename to drift_month;
alter table ops.drift_month rename column usual to expected;
alter table ops.drift_month rename column watched_by_run_id to checked_by_run_id;
alter table ops.watched_universe rename to monitored_universe;
alter table ops.monitored_universe rename column watched_since to monitored_since;
alter table ops.address rename to recipient;
alter table ops.recipient rename column address_id to recipient_id;
alter table ops.recipient rename column address to recipient;
alter table ops.delivery rename column address_id to recipient_id;

alter table ops.run rename column symbols_asked to symbols_requested;
alter table ops.run add column config jsonb;

-- Constraints follow the names of their tables and columns. PostgreSQL 18 also names those of `not null`.
do $$
declare
    renaming record;
    renamed record;
begin
    for renaming in
        select * from (
            values
                (1, 'forecast.candidate', 'months_judged', 'holdout_months'),
                (2, 'forecast.model_version', 'judged_from', 'holdout_start'),
                (3, 'forecast.model_version', 'judged_through', 'holdout_end'),
                (4, 'forecast.drift_expectation', 'watch_reference', 'drift_expectation'),
                (5, 'ops.drift_month', 'watched_by_run_id', 'checked_by_run_id'),
                (6, 'ops.drift_month', 'watched_month', 'drift_month'),
                (7, 'ops.drift_month', 'usual', 'expected'),
                (8, 'ops.monitored_universe', 'watched', 'monitored'),
                (9, 'ops.recipient', 'address', 'recipient'),
                (10, 'ops.delivery', 'address', 'recipient'),
                (11, 'ops.delivery', 'pkey1', 'pkey'),
                (12, 'ops.delivery', 'fkey1', 'fkey'),
                (13, 'ops.delivery', 'not_null1', 'not_null'),
                (14, 'ops.run', 'symbols_asked', 'symbols_requested')
        ) as pair (place, relation, old, new)
        order by place
    loop
        for renamed in
            select conname from pg_constraint
            where conrelid = renaming.relation::regclass and strpos(conname, renaming.old) > 0
        loop
            execute format(
                'alter table %s rename constraint %I to %I',
                renaming.relation, renamed.conname, replace(renamed.conname, renaming.old, renaming.new)
            );
        end loop;
    end loop;
end
$$;

-- Parameters cannot be renamed in place.
drop function market.is_news(double precision, double precision, double precision);
create function market.is_changed(incoming double precision, stored double precision, tolerance double precision)
returns boolean language sql immutable parallel safe
return incoming is not null and (stored is null or abs(incoming - stored) > tolerance * abs(stored));

update forecast.model_version
set config = (config - 'judged_months') || jsonb_build_object('holdout_months', config -> 'judged_months')
where config ? 'judged_months';
update forecast.model_version
set config = (config - 'centre_shrinkage') || jsonb_build_object('location_shrinkage', config -> 'centre_shrinkage')
where config ? 'centre_shrinkage';
update forecast.backtest
set config = (config - 'judged_months') || jsonb_build_object('holdout_months', config -> 'judged_months')
where config ? 'judged_months';
update forecast.backtest
set config = (config - 'centre_shrinkage') || jsonb_build_object('location_shrinkage', config -> 'centre_shrinkage')
where config ? 'centre_shrinkage';
update forecast.baseline_coefficient set term = 'location' where term = 'centre';

-- Stored queries of alerts use the new columns of the views.
update ops.alert
set look_deeper_sql = replace(look_deeper_sql, 'value, usual, surprise', 'value, expected, surprise')
where look_deeper_sql like '%from report.drift_month %';
update ops.alert
set look_deeper_sql = replace(look_deeper_sql, 'and address =', 'and recipient =')
where look_deeper_sql like '%from report.delivery %';
