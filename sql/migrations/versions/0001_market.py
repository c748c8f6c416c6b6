"""Step 0001, see 0001_market.sql."""

from sql.migrations import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
