"""Everything Postgres knows, and the one door to it.

- `store`: the door. Verbs with frames in and out; no other room sees a connection.
- `server`: the life cycle of the embedded server, used when no `DATABASE_URL` is set.
- `upgrade`: brings a database to the newest schema: migrations first, then views, then grants.
- `migrations/versions/`: numbered steps, each a `.sql` file named after its change. To change a table, add a step.
- `views/`: the `report` schema, dropped and rebuilt after every migration, in the order of the file names. To change
  what an analyst sees, edit a view.
- `queries/`: the statements behind the verbs, one file each, looked up by name.

This room imports no other room. Statements take parameters; the only names put together in Python are table and column
names, quoted by the driver.
"""
