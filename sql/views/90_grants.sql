-- Readers can only read: the group role has access to the report schema and to nothing else.
do $$
begin
    if not exists (select from pg_roles where rolname = 'bellwether_reader')
       and (select rolcreaterole or rolsuper from pg_roles where rolname = current_user) then
        create role bellwether_reader nologin;
    end if;
    if exists (select from pg_roles where rolname = 'bellwether_reader') then
        grant usage on schema report to bellwether_reader;
        grant select on all tables in schema report to bellwether_reader;
    end if;
end
$$;
