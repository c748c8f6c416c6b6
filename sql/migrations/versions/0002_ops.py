"""Step 0002, see 0002_ops.sql."""

from sql.migrations import run_sql_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
