-- Locks that only the owner can take, the revision in a schema of Bellwether, and the names of its views.
create table ops.lock (
    name  text primary key
);
insert into ops.lock (name) values ('bellwether/market');

create table ops.schema_version (
    revision  text primary key
);

create table ops.report_view (
    view_name  text primary key
);
