"""Step 0007, see 0007_alerts.sql."""

from sql.migrations import run_sql_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
