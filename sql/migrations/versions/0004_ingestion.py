"""Step 0004, see 0004_ingestion.sql."""

from sql.migrations import run_sql_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
