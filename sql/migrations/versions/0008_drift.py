"""Step 0008, see 0008_drift.sql."""

from sql.migrations import run_sql_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
