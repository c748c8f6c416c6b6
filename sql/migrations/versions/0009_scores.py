"""Step 0009, see 0009_scores.sql."""

from sql.migrations import run_sql_beside

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
