"""Step 0006, see 0006_paper.sql."""

from sql.migrations import run_sql_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
