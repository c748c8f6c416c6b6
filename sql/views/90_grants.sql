-- Readers can only read: the group role has access to the report schema and to nothing else.
do $$
declare
    view_name text;
begin
    if not exists (select from pg_roles where rolname = 'bellwether_reader')
       and (select rolcreaterole or rolsuper from pg_roles where rolname = current_user) then
        create role bellwether_reader nologin;
    end if;
    if exists (select from pg_roles where rolname = 'bellwether_reader') then
        grant usage on schema report to bellwether_reader;
        -- Views of other owners are theirs to grant.
        for view_name in
            select c.oid::regclass::text from pg_class c
            where c.relnamespace = 'report'::regnamespace and c.relkind in ('v', 'm', 'r') and pg_has_role(c.relowner, 'usage')
        loop
            execute format('grant select on %s to bellwether_reader', view_name);
        end loop;
    end if;
end
$$;
