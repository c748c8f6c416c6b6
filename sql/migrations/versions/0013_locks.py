"""Step 0013, see 0013_locks.sql."""

from sql.migrations import run_sql_beside

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
