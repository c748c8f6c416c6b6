"""Step 0003, see 0003_forecast.sql."""

from sql.migrations import run_sql_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
