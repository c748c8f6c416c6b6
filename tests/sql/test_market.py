"""Bars, revisions, restated histories, actions, delistings and findings, against a real Postgres."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.bars.adjustment import undo_splits
from sql.store import MergedBars, Store
from tests.support.rows import query

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
T0 = datetime(2020, 3, 1, tzinfo=UTC)
SESSIONS = [f"2020-02-{day:02d}" for day in (3, 4, 5, 6, 7, 10)]
NO_ACTIONS = pd.DataFrame({"symbol": [], "ex_date": [], "kind": [], "value": []})
_names = itertools.count(1)
ActionKey = tuple[str, str]


@dataclass(frozen=True)
class Download:
    """A download of one day: closes as traded, splits and dividends."""

    day: int
    closes: dict[str, float]
    actions: dict[ActionKey, float] = field(default_factory=dict)

    @property
    def known_at(self) -> datetime:
        """Time of the download."""
        return T0 + self.day * DAY


def frames(download: Download, symbol: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    close = np.array(list(download.closes.values()))
    sessions = pd.to_datetime(list(download.closes)).astype("datetime64[ns]")
    bars = pd.DataFrame({"symbol": symbol, "session": sessions}).assign(open=close, high=close, low=close, close=close)
    rows = [(symbol, pd.Timestamp(day), kind, value) for (day, kind), value in download.actions.items()]
    return bars.assign(volume=1000.0), pd.DataFrame(rows, columns=["symbol", "ex_date", "kind", "value"])


def merge(store: Store, symbol: str, *downloads: Download, **options: Any) -> list[MergedBars]:
    instruments = pd.DataFrame({"symbol": [symbol], "exchange_mic": "XNYS", "currency_code": "USD"})
    done = []
    for download in downloads:
        bars, actions = frames(download, symbol)
        arguments = {"source": "file", "instruments": instruments, "bars": bars, "actions": actions}
        done.append(store.merge_bars(**arguments, known_at=download.known_at, **({"accept_restated": True} | options)))
    return done


def state(store: Store, database_url: str, symbol: str) -> list[Any]:
    """All stored rows of a symbol's prices."""
    return [
        query(database_url, f"select {columns} from market.{table} where symbol = '{symbol}' order by 1, 2, 3")
        for table, columns in (
            ("daily_bar", "session, known_at, close"),
            ("bar_revision", "session, revised_at, old_close, old_known_at, new_close"),
            ("corporate_action", "ex_date, kind, known_at, value"),
        )
    ]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        # day reported, close: what is known on days 1, 2, 3
        ([(1, 10.0), (2, 12.0), (3, 10.0)], [10.0, 12.0, 10.0]),
        ([(1, 10.0), (2, 10.0), (3, 12.0)], [10.0, 10.0, 12.0]),
        ([(1, 10.0), (2, 12.0), (3, 12.0)], [10.0, 12.0, 12.0]),
        ([(1, 10.0), (2, 12.0), (3, 14.0)], [10.0, 12.0, 14.0]),
    ],
)
def test_merge_bars_in_any_order_returns_the_same_knowledge(
    store: Store, database_url: str, reported: list[tuple[int, float]], expected: list[float]
) -> None:
    downloads = [Download(day, {"2020-02-03": close}) for day, close in reported]
    states = []
    for number, order in enumerate(itertools.permutations(downloads)):
        merge(store, symbol := f"S{number}", *order)
        known = [
            store.read_bars([symbol], as_of=date(2020, 3, 1), known_at=T0 + day * DAY)["close"].tolist()
            for day in (1, 2, 3)
        ]
        assert known == [[close] for close in expected]
        states.append(state(store, database_url, symbol))
    assert all(each == states[0] for each in states)


levels = st.sampled_from([10.0, 11.0, 12.5])


@st.composite
def downloads(draw: st.DrawFn) -> list[Download]:
    """Downloads of some sessions, with corrections of bars and changing splits and dividends."""
    found = []
    for day in range(draw(st.integers(2, 4))):
        span = sorted(draw(st.lists(st.sampled_from(range(len(SESSIONS))), min_size=1, max_size=2)))
        closes = {session: draw(levels) for session in SESSIONS[span[0] : span[-1] + 1]}
        # A source speaks of the ex-dates after its first session.
        possible = [(session, kind) for session in list(closes)[1:] for kind in ("split", "dividend")]
        actions = {
            key: draw(st.sampled_from([2.0, 3.0] if key[1] == "split" else [0.5, 1.0]))
            for key in draw(st.lists(st.sampled_from(possible), unique=True, max_size=3) if possible else st.just([]))
        }
        found.append(Download(day, closes, actions))
    return found


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=downloads(), random=st.randoms())
def test_merge_bars_in_any_order_ends_in_the_same_state(
    store: Store, database_url: str, history: list[Download], random: Any
) -> None:
    """Bars, corrections, splits, dividends and withdrawals, shuffled, one of them twice."""
    in_time, shuffled = f"A{next(_names)}", f"B{next(_names)}"
    merge(store, in_time, *history)
    order = history + history[:1]
    random.shuffle(order)
    merge(store, shuffled, *order)
    assert state(store, database_url, shuffled) == state(store, database_url, in_time)
    for download in history:
        known = [
            store.read_actions([name], as_of=date(2020, 3, 1), known_at=download.known_at)
            for name in (in_time, shuffled)
        ]
        pd.testing.assert_frame_equal(known[0].drop(columns="symbol"), known[1].drop(columns="symbol"))


@st.composite
def histories(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, list[int]]:
    """Bars as traded, their splits and dividends, and the numbers of sessions at the downloads."""
    sessions = pd.bdate_range("2020-01-01", periods=draw(st.integers(4, 30))).astype("datetime64[ns]")
    close = np.array(draw(st.lists(st.floats(1, 1000), min_size=len(sessions), max_size=len(sessions))))
    bars = pd.DataFrame(
        {"symbol": "X", "session": sessions, "open": close, "high": close, "low": close, "close": close}
    )
    dates = draw(st.lists(st.integers(1, len(sessions) - 1), unique=True, max_size=4))
    facts = [(draw(st.sampled_from(["split", "dividend"])), sessions[place], close[place - 1]) for place in dates]
    rows = [
        ("X", day, kind, draw(st.sampled_from([2.0, 1.5, 7.0, 0.1])) if kind == "split" else before * 0.02)
        for kind, day, before in facts
    ]
    ends = draw(st.lists(st.integers(2, len(sessions)), min_size=1, max_size=4))
    types = {"symbol": "str", "ex_date": "datetime64[ns]", "kind": "str", "value": "float64"}
    return bars.assign(volume=1e6), pd.DataFrame(rows, columns=list(types)).astype(types), ends


def as_downloaded(bars: pd.DataFrame, actions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Yahoo's representation: prices and dividends divided by every later split."""
    splits = actions[actions["kind"] == "split"]

    def later(day: pd.Timestamp) -> float:
        return float(splits.loc[splits["ex_date"] > day, "value"].prod())

    at_bar = pd.Series([later(day) for day in bars["session"]], bars.index, dtype="float64")
    prices = bars[["open", "high", "low", "close"]].div(at_bar, axis=0)
    is_dividend = actions["kind"] == "dividend"
    value = actions["value"].where(
        ~is_dividend,
        actions["value"] / pd.Series([later(day) for day in actions["ex_date"]], actions.index, dtype="float64"),
    )
    return bars.assign(**prices, volume=bars["volume"] * at_bar), actions.assign(value=value)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=histories(), random=st.randoms())
def test_merge_bars_of_restated_downloads_restores_traded_prices(
    store: Store, history: tuple[pd.DataFrame, pd.DataFrame, list[int]], random: Any
) -> None:
    """Each later split restates the downloaded history; as traded, the history is unique and nothing is revised."""
    bars, actions, ends = history
    name = f"V{next(_names)}"
    random.shuffle(ends)
    for end in ends:
        part = bars.head(end)
        known = actions[actions["ex_date"] <= part["session"].max()]
        traded, facts = undo_splits(*as_downloaded(part, known))
        done = store.merge_bars(
            source="file",
            instruments=pd.DataFrame({"symbol": [name], "exchange_mic": "XNYS", "currency_code": "USD"}),
            bars=traded.assign(symbol=name),
            actions=facts.assign(symbol=name),
            known_at=T0 + end * DAY,
        )
        assert (done.revised, done.restated) == (0, ())
    end = max(ends)
    moment = {"as_of": date(2021, 1, 1), "known_at": T0 + 100 * DAY}
    stored = store.read_bars([name], **moment)
    np.testing.assert_allclose(stored["close"], bars["close"].head(end), rtol=1e-9)
    expected = actions[actions["ex_date"] <= bars["session"].iloc[end - 1]].sort_values(["ex_date", "kind"])
    facts = store.read_actions([name], **moment)
    assert list(facts["ex_date"]) == list(expected["ex_date"])
    np.testing.assert_allclose(facts["value"], expected["value"], rtol=1e-9)


@pytest.mark.parametrize("fact", [("2020-02-06", "dividend"), ("2020-02-06", "split")])
def test_merge_bars_after_a_new_action_writes_two_rows(store: Store, database_url: str, fact: ActionKey) -> None:
    """One for the action, one for the download; no bar, in spite of the restated prices."""
    bars = dict.fromkeys(SESSIONS, 10.0)
    merge(store, "A", Download(0, bars))
    tables = "market.daily_bar", "market.bar_revision", "market.corporate_action", "market.instrument", "ops.download"

    def rows() -> list[set[Any]]:
        return [set(query(database_url, f"select ctid::text, xmin::text from {table}")) for table in tables]

    before = rows()
    merge(store, "A", Download(1, bars, {fact: 2.0}))
    written = [len(new - old) for new, old in zip(rows(), before, strict=True)]
    assert written == [0, 0, 1, 0, 1]


def test_merge_bars_withdraws_an_absent_action(store: Store) -> None:
    bars = dict.fromkeys(SESSIONS, 10.0)
    facts = {("2020-02-03", "dividend"): 0.5, ("2020-02-05", "dividend"): 0.5, ("2020-02-05", "split"): 2.0}
    merge(store, "A", Download(0, bars, facts), Download(1, bars))

    def known(day: int) -> list[str]:
        return store.read_actions(["A"], as_of=date(2020, 3, 1), known_at=T0 + day * DAY)["kind"].tolist()

    assert known(0) == ["dividend", "dividend", "split"]
    # An ex-date outside the download's span stays unchanged.
    assert known(1) == ["dividend"]
    merge(store, "A", Download(2, bars, facts), Download(3, bars), knows_actions=False)
    assert known(3) == known(2) == known(0)


def test_merge_bars_rejects_a_history_on_another_basis(store: Store, database_url: str) -> None:
    """As after an unreported 2:1 split: no bar is overwritten."""
    bars = dict(zip(SESSIONS, [10.0, 11.0, 12.0, 11.0, 10.0, 9.0], strict=True))
    merge(store, "A", Download(0, bars))
    before = state(store, database_url, "A")
    halved = Download(1, {session: close / 2 for session, close in bars.items()})
    (done,) = merge(store, "A", halved, accept_restated=False)
    assert done.restated == ("A",)
    assert (done.added, done.revised, done.unchanged, done.actions) == (0, 0, 0, 0)
    assert state(store, database_url, "A") == before
    (done,) = merge(store, "A", halved, accept_restated=True)
    assert done.revised == len(bars)


def test_merge_bars_accepts_a_few_large_corrections(store: Store) -> None:
    bars = {f"2020-{month:02d}-{day:02d}": 10.0 for month in (1, 2) for day in range(1, 29)}
    merge(store, "A", Download(0, bars))
    corrected = bars | dict.fromkeys(list(bars)[3:6], 12.0)
    (done,) = merge(store, "A", Download(1, corrected), accept_restated=False)
    assert (done.restated, done.revised) == ((), 3)


def download_once(store: Store, day: int, outcome: str, symbol: str = "A") -> None:
    bars, actions = frames(Download(day, {"2020-02-03": 10.0} if outcome == "ok" else {}), symbol)
    store.merge_bars(
        source="yahoo",
        instruments=pd.DataFrame({"symbol": [symbol], "exchange_mic": "XNYS", "currency_code": "USD"}),
        bars=bars,
        actions=actions,
        outcomes=pd.DataFrame({"symbol": [symbol], "outcome": [outcome], "reason": [""]}),
        known_at=T0 + day * DAY,
    )


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (["ok"], "active"),
        (["ok", "missing"], "suspected"),
        (["ok", *["missing"] * 27], "suspected"),
        (["ok", *["missing"] * 29], "delisted"),
        (["ok", "missing", *["source_error"] * 27, "missing"], "suspected"),
        (["ok", "missing", *["rate_limited"] * 27, "missing", "missing"], "delisted"),
        (["ok", *["source_error"] * 40], "active"),
        (["ok", *["missing"] * 29, "ok"], "active"),
        (["ok", *["missing"] * 20, "ok", *["missing"] * 20], "suspected"),
    ],
)
def test_merge_bars_marks_a_delisting_after_several_weeks(store: Store, outcomes: Sequence[str], status: str) -> None:
    for day, outcome in enumerate(outcomes):
        download_once(store, day, outcome)
    known = store.read_instruments(["A"])
    assert known["status"].tolist() == [status]
    assert known["last_session"].tolist() == [pd.Timestamp("2020-02-03")]


def test_read_instruments_returns_times_of_the_last_downloads(store: Store) -> None:
    bars = dict.fromkeys(SESSIONS, 10.0)
    merge(store, "A", Download(0, bars), Download(1, dict(list(bars.items())[3:])), Download(2, {SESSIONS[1]: 10.0}))
    known = store.read_instruments(["A"]).iloc[0]
    assert (known["whole_at"], known["requested_at"]) == (T0, T0 + DAY)
    assert known["bar_interval"] == "daily"


def finding(session: str | None, rule: str, value: float = 1.0, treatment: str = "kept") -> pd.DataFrame:
    row = ("A", pd.Timestamp(session), rule, value, treatment, "reason")
    columns = ["symbol", "session", "rule", "value", "treatment", "reason"]
    return pd.DataFrame([row], columns=columns).astype({"session": "datetime64[ns]"})


def test_merge_findings_clears_absent_findings_of_checked_sessions(store: Store, database_url: str) -> None:
    findings = pd.concat(
        [finding("2020-02-03", "gap"), finding("2020-02-05", "spike"), finding(None, "unreadable_line")]
    )
    store.merge_findings(findings)
    current = "select session, rule, value from market.finding where cleared_at is null order by rule"
    everything = query(database_url, current)
    assert [rule for _, rule, _ in everything] == ["gap", "spike", "unreadable_line"]
    versions = query(database_url, "select xmin::text, ctid::text from market.finding order by rule")
    checked: dict[str, Any] = {"symbols": ["A"], "rules": ["gap", "spike"]}
    store.merge_findings(findings, **checked)
    assert query(database_url, "select xmin::text, ctid::text from market.finding order by rule") == versions
    # A check that ends before the second session cannot clear its finding.
    store.merge_findings(findings.head(0), **checked, as_of=date(2020, 2, 4))
    assert [rule for _, rule, _ in query(database_url, current)] == ["spike", "unreadable_line"]
    store.merge_findings(finding("2020-02-03", "gap", 3.0), **checked)
    assert query(database_url, current) == [(date(2020, 2, 3), "gap", 3.0), (None, "unreadable_line", 1.0)]


def make_bars(closes: dict[str, float], symbol: str = "A", volume: float = 1000.0) -> pd.DataFrame:
    close = np.array(list(closes.values()))
    return pd.DataFrame(
        {
            "symbol": symbol,
            "session": pd.to_datetime(list(closes)),
            "open": close,
            "high": close,
            "low": close,
            "close": close,
            "volume": volume,
        }
    )


def merge_frames(
    store: Store, bars: pd.DataFrame, known_at: datetime, actions: pd.DataFrame = NO_ACTIONS
) -> tuple[int, ...]:
    names = sorted({*bars["symbol"], *actions["symbol"]})
    instruments = pd.DataFrame({"symbol": names, "exchange_mic": "XNYS", "currency_code": "USD"})
    done = store.merge_bars(
        source="file",
        instruments=instruments,
        bars=bars,
        actions=actions,
        known_at=known_at,
        accept_restated=True,
        knows_actions=False,
    )
    return done.added, done.revised, done.unchanged, done.actions


def closes_known(
    store: Store, known_at: datetime, as_of: date = date(2030, 1, 1), symbol: str = "A"
) -> dict[str, float]:
    bars = store.read_bars([symbol], as_of=as_of, known_at=known_at)
    return dict(zip(bars["session"].dt.strftime("%Y-%m-%d"), bars["close"], strict=True))


def test_merge_bars_of_the_same_bars_changes_no_row(store: Store, database_url: str) -> None:
    bars = make_bars({"2020-01-02": 10.0, "2020-01-03": 11.0})
    assert merge_frames(store, bars, T0) == (2, 0, 0, 0)
    versions = query(database_url, "select xmin, ctid from market.daily_bar order by session")
    assert merge_frames(store, bars, T0 + DAY) == (0, 0, 2, 0)
    assert query(database_url, "select xmin, ctid from market.daily_bar order by session") == versions


def test_merge_bars_revises_only_beyond_the_tolerance(store: Store, database_url: str) -> None:
    """Price 1e-4, volume 5e-3, relative to the stored value."""
    cases = [
        ({"close": 10.0009}, False),
        ({"close": 10.0011}, True),
        ({"close": 9.9989}, True),
        ({"open": 10.0009}, False),
        ({"open": 10.0011}, True),
        ({"high": 10.0011}, True),
        ({"low": 9.9989}, True),
        ({"volume": 1004.0}, False),
        ({"volume": 1006.0}, True),
    ]
    symbols = [f"S{number}" for number in range(len(cases))]
    before = pd.concat([make_bars({"2020-01-02": 10.0}, symbol) for symbol in symbols], ignore_index=True)
    merge_frames(store, before, T0)
    after = pd.concat([before[before["symbol"] == s].assign(**c) for s, (c, _) in zip(symbols, cases, strict=True)])
    assert merge_frames(store, after, T0 + DAY) == (0, 6, 3, 0)
    corrected = query(database_url, "select symbol from market.bar_revision order by symbol")
    assert [symbol for (symbol,) in corrected] == [s for s, (_, is_) in zip(symbols, cases, strict=True) if is_]
    known = store.read_bars(symbols, as_of=date(2020, 1, 2), known_at=T0 + DAY).set_index("symbol")
    for symbol, (change, is_correction) in zip(symbols, cases, strict=True):
        ((column, value),) = change.items()
        stored = 1000.0 if column == "volume" else 10.0
        assert known.loc[symbol, column] == (value if is_correction else stored)


def test_merge_bars_keeps_the_replaced_values(store: Store, database_url: str) -> None:
    old = make_bars({"2020-01-02": 10.0})
    new = make_bars({"2020-01-02": 12.0}, volume=3000.0).assign(open=11.0, high=13.0, low=9.0)
    merge_frames(store, old, T0)
    assert merge_frames(store, new, T0 + DAY) == (0, 1, 0, 0)
    assert query(database_url, "select * from market.bar_revision") == [
        ("A", date(2020, 1, 2), T0 + DAY, *[10.0] * 4, 1000, T0, 11.0, 13.0, 9.0, 12.0, 3000)
    ]
    for known_at, expected in ((T0, old), (T0 + DAY - SECOND, old), (T0 + DAY, new)):
        known = store.read_bars(["A"], as_of=date(2020, 1, 2), known_at=known_at)
        pd.testing.assert_frame_equal(known, expected, check_dtype=False)


def test_merge_bars_never_replaces_a_value_by_a_missing_one(store: Store, database_url: str) -> None:
    merge_frames(store, make_bars({"2020-01-02": 10.0, "2020-01-03": 10.0}), T0)
    bare = make_bars({"2020-01-02": 10.0, "2020-01-03": 20.0}).assign(open=np.nan, high=np.nan, low=np.nan, volume=None)
    assert merge_frames(store, bare.astype({"volume": "float64"}), T0 + DAY) == (0, 1, 1, 0)
    assert query(database_url, "select open, high, low, close, volume from market.daily_bar order by session") == [
        (10.0, 10.0, 10.0, 10.0, 1000),
        (10.0, 10.0, 10.0, 20.0, 1000),
    ]


def test_merge_bars_fills_missing_values_as_a_revision(store: Store) -> None:
    merge_frames(store, make_bars({"2020-01-02": 10.0}).assign(open=np.nan, volume=np.nan), T0)
    assert merge_frames(store, make_bars({"2020-01-02": 10.0}), T0 + DAY) == (0, 1, 0, 0)
    before, after = (
        store.read_bars(["A"], as_of=date(2020, 1, 2), known_at=known_at).loc[0, ["open", "volume"]].tolist()
        for known_at in (T0, T0 + DAY)
    )
    assert np.isnan(before).all()
    assert after == [10.0, 1000.0]


def test_merge_bars_stores_less_than_half_a_share_as_no_volume(store: Store, database_url: str) -> None:
    """The reversal of a later split leaves fractions."""
    bars = pd.concat([make_bars({f"2020-01-0{n}": 10.0}, volume=v) for n, v in ((2, 0.2), (3, 0.0), (6, 1.4))])
    merge_frames(store, bars, T0)
    assert query(database_url, "select volume from market.daily_bar order by session") == [(None,), (None,), (1,)]


def test_merge_bars_retried_at_the_same_time_leaves_one_revision(store: Store, database_url: str) -> None:
    merge_frames(store, make_bars({"2020-01-02": 10.0}), T0)
    for close in (12.0, 15.0):
        assert merge_frames(store, make_bars({"2020-01-02": close}), T0 + DAY, make_dividend(close)) == (0, 1, 0, 1)
    assert query(database_url, "select old_close, new_close from market.bar_revision") == [(10.0, 15.0)]
    assert closes_known(store, T0) == {"2020-01-02": 10.0}
    assert closes_known(store, T0 + DAY) == {"2020-01-02": 15.0}
    assert query(database_url, "select value from market.corporate_action") == [(15.0,)]


def test_merge_bars_keeps_exchange_and_currency_of_a_stored_symbol(store: Store) -> None:
    merge_frames(store, make_bars({"2020-01-02": 10.0, "2020-01-03": 10.0}), T0)
    moved = pd.DataFrame({"symbol": ["A", "B"], "exchange_mic": "XLON", "currency_code": "GBP"})
    nothing = make_bars({"2020-01-02": 10.0}).iloc[:0]
    store.merge_bars(source="file", instruments=moved, bars=nothing, actions=NO_ACTIONS, known_at=T0 + DAY)
    known = store.read_instruments(["A", "B", "C"])
    assert known[["symbol", "exchange_mic", "currency_code"]].to_numpy().tolist() == [
        ["A", "XNYS", "USD"],
        ["B", "XLON", "GBP"],
    ]
    assert known["first_session"][0] == pd.Timestamp("2020-01-02")
    assert known["last_session"][0] == pd.Timestamp("2020-01-03")
    assert known["last_session"].isna()[1]


def test_merge_bars_is_all_or_nothing(store: Store, database_url: str) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation):
        merge_frames(store, make_bars({"2020-01-02": 10.0}), T0, make_dividend(1.0).assign(kind="gift"))
    assert query(database_url, "select (select count(*) from market.instrument), count(*) from market.daily_bar") == [
        (0, 0)
    ]


def test_read_bars_returns_every_version_as_known_at_its_time(store: Store, database_url: str) -> None:
    for days, close in enumerate((10.0, 12.0, 15.0)):
        merge_frames(store, make_bars({"2020-01-02": close}), T0 + days * DAY)
    assert closes_known(store, T0 - SECOND) == {}
    for days, close in enumerate((10.0, 12.0, 15.0)):
        assert closes_known(store, T0 + days * DAY) == {"2020-01-02": close}
        assert closes_known(store, T0 + (days + 1) * DAY - SECOND) == {"2020-01-02": close}
    assert query(database_url, "select old_close, new_close from market.bar_revision order by revised_at") == [
        (10.0, 12.0),
        (12.0, 15.0),
    ]


def test_read_bars_ends_at_as_of(store: Store) -> None:
    merge_frames(store, make_bars({"2020-01-02": 10.0, "2020-01-03": 11.0}), T0)
    assert closes_known(store, T0, as_of=date(2020, 1, 2)) == {"2020-01-02": 10.0}


def make_dividend(value: float, kind: str = "dividend") -> pd.DataFrame:
    return pd.DataFrame({"symbol": "A", "ex_date": pd.to_datetime(["2020-01-03"]), "kind": kind, "value": [value]})


@pytest.mark.parametrize(
    ("kind", "first", "within", "beyond"),
    [
        # 5e-5 of the close before the ex-date, 0.005: the error of rounded prices.
        ("dividend", 1.0, 1.004, 1.006),
        # 5e-5 of the ratio.
        ("split", 4.0, 4.00019, 4.00021),
    ],
)
def test_read_actions_returns_them_as_known_at_their_time(
    store: Store, kind: str, first: float, within: float, beyond: float
) -> None:
    bars = make_bars({"2020-01-02": 100.0, "2020-01-03": 99.0})
    assert merge_frames(store, bars, T0, make_dividend(first, kind)) == (2, 0, 0, 1)
    assert merge_frames(store, bars, T0 + DAY, make_dividend(within, kind)) == (0, 0, 2, 0)
    assert merge_frames(store, bars, T0 + 2 * DAY, make_dividend(beyond, kind)) == (0, 0, 2, 1)
    assert store.read_actions(["A"], as_of=date(2020, 1, 3), known_at=T0 - SECOND).empty
    for days, value in ((0, first), (1, first), (2, beyond)):
        actions = store.read_actions(["A"], as_of=date(2020, 1, 3), known_at=T0 + days * DAY)
        assert actions.to_numpy().tolist() == [["A", pd.Timestamp("2020-01-03"), kind, value]]
    assert store.read_actions(["A"], as_of=date(2020, 1, 2), known_at=T0 + 2 * DAY).empty


DATES = [f"2020-01-{day:02d}" for day in (2, 3, 6)]
VINTAGES = st.lists(
    st.dictionaries(st.sampled_from(DATES), st.integers(1, 5).map(float), min_size=1), min_size=1, max_size=5
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(vintages=VINTAGES)
def test_read_bars_equals_a_replay_of_the_downloads(store: Store, vintages: list[dict[str, float]]) -> None:
    symbol = f"S{next(_names)}"
    replayed: dict[str, float] = {}
    expected = []
    for number, vintage in enumerate(vintages):
        merge_frames(store, make_bars(dict(sorted(vintage.items())), symbol), T0 + number * DAY)
        replayed |= vintage
        expected.append(dict(replayed))
    for number, known in enumerate(expected):
        assert closes_known(store, T0 + number * DAY, symbol=symbol) == known
