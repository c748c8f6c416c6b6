"""The steps from an empty database to the newest schema; `versions/` holds one pair of files a step.

A step is `NNNN_what.sql` and a three-line `NNNN_what.py` that names its predecessor. A landed step is never edited.
"""

from pathlib import Path

from alembic import op

from sql.copy import open_cursor


def run_sql_beside(python_file: str) -> None:
    """Run the `.sql` file of the same name as a step's Python file."""
    # The driver's own cursor: SQLAlchemy would read the colons of casts and comments as parameters.
    statements = Path(python_file).with_suffix(".sql").read_text(encoding="utf-8")
    with open_cursor(op.get_bind()) as cursor:
        cursor.execute(statements)
