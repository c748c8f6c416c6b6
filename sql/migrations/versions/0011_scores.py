"""Step 0011, see 0011_scores.sql."""

from sql.migrations import run_sql_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
