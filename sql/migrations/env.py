"""Alembic's entry point: run the steps on the connection of `sql.migrate`, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="public")
context.run_migrations()
