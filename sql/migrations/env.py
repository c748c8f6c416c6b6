"""Alembic's entry: runs the steps on the connection that `sql.migrate` passes in, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="public")
context.run_migrations()
