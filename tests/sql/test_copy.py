"""COPY in and out: what goes in comes out, whatever it holds."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import cursor as Cursor  # noqa: N812  a class under a lower-case name

from sql.copy import copy_in, copy_out

COLUMNS = {"place": "int4", "label": "text", "day": "date", "value": "float8", "big": "int8", "small": "int2"}
AWKWARD = [
    "plain",
    "NA",
    "NaN",
    "null",
    "NULL",
    "\\N",
    "",
    " ",
    "a, b",
    'a "quoted" one',
    '"',
    "two\nlines",
    "\n\\.\n",  # alone on its line it once ended a COPY
    "carriage\r\nreturn",
    "tab\t",
    "back\\slash",
    "%s %(name)s",
    "σ × β … 株式",
    "'; drop table kept; --",
    "1e5",
    "2020-01-01",
    "true",
]


@pytest.fixture(scope="module")
def cursor(superuser_url: str) -> Iterator[Cursor]:
    """A cursor with a temporary table `kept` of COLUMNS."""
    connection = psycopg2.connect(superuser_url)
    with connection.cursor() as opened:
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        opened.execute(f"create temporary table kept ({columns})")
        yield opened
    connection.close()


def make_frame(**columns: Any) -> pd.DataFrame:
    """Rows of `kept` in order; absent columns are null."""
    rows = len(next(iter(columns.values())))
    whole = dict.fromkeys(COLUMNS, [None] * rows) | {"place": list(range(rows))} | columns
    return pd.DataFrame(whole)


def bring(cursor: Cursor, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame after a round trip through the table."""
    cursor.execute("truncate kept")
    copy_in(cursor, "kept", frame)
    return copy_out(cursor, "select * from kept where place >= %(least)s order by place", {"least": 0}, COLUMNS)


def stored(cursor: Cursor, column: str) -> list[Any]:
    """Rows of the table, read by the driver."""
    cursor.execute(f"select {column} from kept order by place")
    return [value for (value,) in cursor.fetchall()]


def test_text_survives_the_round_trip(cursor: Cursor) -> None:
    back = bring(cursor, make_frame(label=AWKWARD))
    assert stored(cursor, "label") == AWKWARD
    assert list(back["label"]) == AWKWARD


def test_empty_text_is_not_null(cursor: Cursor) -> None:
    back = bring(cursor, make_frame(label=["", None, "NA", np.nan]))
    assert stored(cursor, "label") == ["", None, "NA", None]
    assert list(back["label"].isna()) == [False, True, False, True]
    assert back["label"][0] == ""


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_copy_in_stores_missing_values_as_null(cursor: Cursor, missing: Any) -> None:
    back = bring(cursor, make_frame(value=[1.5, missing], label=["a", missing]))
    assert stored(cursor, "value") == [1.5, None]
    assert stored(cursor, "label") == ["a", None]
    assert np.isnan(back["value"][1])


@pytest.mark.parametrize(
    "days",
    [
        [date(1926, 1, 2), date(2099, 12, 31), None],
        pd.Series(pd.to_datetime(["1926-01-02", "2099-12-31", None])),
        pd.Series(pd.to_datetime(["1926-01-02", "2099-12-31", None])).astype("datetime64[ns]"),
    ],
    ids=["dates", "timestamps", "nanoseconds"],
)
def test_dates_return_as_timestamps(cursor: Cursor, days: Any) -> None:
    back = bring(cursor, make_frame(day=days))
    assert stored(cursor, "day") == [date(1926, 1, 2), date(2099, 12, 31), None]
    assert back["day"].dtype == "datetime64[ns]"
    assert list(back["day"][:2]) == [pd.Timestamp("1926-01-02"), pd.Timestamp("2099-12-31")]
    assert back["day"].isna()[2]


def test_integers_keep_their_last_digit(cursor: Cursor) -> None:
    """A float rounds integers above 2⁵³."""
    bigs = [2**53 + 1, -(2**63), 2**63 - 1, 0]
    assert list(bring(cursor, make_frame(big=bigs))["big"]) == bigs
    with_null = pd.array([2**53 + 1, None], dtype="Int64")
    bring(cursor, make_frame(big=with_null))
    assert stored(cursor, "big") == [2**53 + 1, None]


@pytest.mark.parametrize("value", [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, np.inf, -np.inf])
def test_floats_keep_every_bit(cursor: Cursor, value: float) -> None:
    (back,) = bring(cursor, make_frame(value=[value]))["value"]
    assert repr(float(back)) == repr(float(value))


def test_empty_frame_adds_nothing_and_returns_typed(cursor: Cursor) -> None:
    typed = bring(cursor, make_frame(label=["a"]).iloc[:0])
    bare = bring(cursor, pd.DataFrame(columns=list(COLUMNS)))
    full = bring(cursor, make_frame(label=["a"], value=[1.0], day=[date(2020, 1, 1)], big=[1], small=[1]))
    for empty in (typed, bare):
        assert len(empty) == 0
        assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_copy_in_appends_to_its_columns_and_keeps_the_frame(cursor: Cursor) -> None:
    cursor.execute("truncate kept")
    frame = pd.DataFrame({"small": [7, 8], "place": [1, 2]}, index=["x", "y"])
    before = frame.copy()
    copy_in(cursor, "pg_temp.kept", frame)
    copy_in(cursor, "kept", frame.assign(place=[3, 4]))
    assert stored(cursor, "small") == [7, 8, 7, 8]
    assert stored(cursor, "label") == [None] * 4
    pd.testing.assert_frame_equal(frame, before)


def test_names_are_quoted(cursor: Cursor) -> None:
    cursor.execute('create temporary table "Odd name" ("a ""b""" int4, "select" text)')
    copy_in(cursor, "Odd name", pd.DataFrame({'a "b"': [1], "select": ["x"]}))
    cursor.execute('select * from "Odd name"')
    assert cursor.fetchall() == [(1, "x")]


def test_timestamps_keep_their_time_zone(cursor: Cursor) -> None:
    cursor.execute("create temporary table moments (at timestamptz)")
    moment = datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    copy_in(cursor, "moments", pd.DataFrame({"at": [pd.Timestamp(moment).tz_convert("America/New_York")]}))
    cursor.execute("select at from moments")
    assert cursor.fetchall() == [(moment,)]


def test_copy_out_keeps_rows_of_nulls(cursor: Cursor) -> None:
    """A single null is an empty line."""
    rows = copy_out(cursor, "select null::text as a from generate_series(1, 3)", {}, {"a": "text"})
    assert len(rows) == 3
    assert rows["a"].isna().all()


def test_copy_out_reads_a_long_result_with_line_breaks(cursor: Cursor) -> None:
    """Longer than one block of the reader, a megabyte."""
    statement = "select i, repeat(E'a\\nb', 20) as label from generate_series(1, 50000) i order by i"
    rows = copy_out(cursor, statement, {}, {"i": "int8", "label": "text"})
    assert list(rows["i"]) == list(range(1, 50_001))
    assert set(rows["label"]) == {"a\nb" * 20}


def test_copy_out_passes_parameters_as_values(cursor: Cursor) -> None:
    names = ["a", "'; drop table kept; --", 'b"']
    rows = copy_out(cursor, "select unnest(%(names)s) as label", {"names": names}, {"label": "text"})
    assert list(rows["label"]) == names


# Postgres has no NUL in a text, and nothing can encode half a surrogate pair.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
ROWS = st.lists(
    st.tuples(
        st.none() | TEXTS,
        st.none() | st.dates(date(1800, 1, 1), date(2200, 1, 1)),
        st.none() | st.floats(allow_nan=False),
        st.none() | st.integers(-(2**63), 2**63 - 1),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_random_frames_survive_the_round_trip(
    cursor: Cursor, rows: list[tuple[str | None, date | None, float | None, int | None]]
) -> None:
    labels, days, values, bigs = map(list, zip(*rows, strict=True))
    frame = make_frame(label=labels, day=days, value=values, big=pd.array(bigs, dtype="Int64"))
    back = bring(cursor, frame)
    assert stored(cursor, "label") == labels
    assert stored(cursor, "day") == days
    assert stored(cursor, "value") == values
    assert stored(cursor, "big") == bigs
    assert [None if pd.isna(each) else each for each in back["label"]] == labels
    assert [None if pd.isna(each) else each.date() for each in back["day"]] == days
    assert [None if pd.isna(each) else each for each in back["value"]] == values


def test_copy_in_accepts_a_concatenation_with_an_empty_frame(cursor: Cursor) -> None:
    """Concatenation leaves two chunks, the first one empty."""
    row = pd.DataFrame({"t": ["a"]}).astype({"t": "str"})
    cursor.execute("create temporary table pieces (t text) on commit drop")
    copy_in(cursor, "pieces", pd.concat([row.head(0), row]))
    cursor.execute("select t from pieces")
    assert cursor.fetchall() == [("a",)]
