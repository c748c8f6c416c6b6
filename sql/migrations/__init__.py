"""The steps from an empty database to the newest schema; `versions/` holds one pair of files per step.

A step is `NNNN_subject.sql` and a short `NNNN_subject.py` that names its predecessor. A released step is never edited.
`sql.migrate` runs the steps with Alembic, but stores the revision itself, in `ops.schema_version`.
"""

from pathlib import Path

from alembic import op

from sql.copy import open_cursor


def run_sql_beside(python_file: str) -> None:
    """Run the `.sql` file with the name of a step's Python file."""
    # The driver's cursor: SQLAlchemy would treat the colons of casts and comments as parameters.
    statements = Path(python_file).with_suffix(".sql").read_text(encoding="utf-8")
    with open_cursor(op.get_bind()) as cursor:
        cursor.execute(statements)
