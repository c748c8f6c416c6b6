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
    -- Every login may create large objects, outside of all schemas. Only a superuser can close them, in a database of Bellwether.
    if (select r.rolsuper from pg_roles r join pg_database d on d.datdba = r.oid
        where d.datname = current_database() and r.rolname = current_user) then
        revoke execute on function lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) from public;
    end if;
end
$$;
