"""Step 0012, see 0012_decisions.sql."""

from sql.migrations import run_sql_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
