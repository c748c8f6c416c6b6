"""Step 0010, see 0010_words.sql."""

from sql.migrations import run_sql_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the step."""
    run_sql_beside(__file__)
