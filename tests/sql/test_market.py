"""Downloads in any order, restated histories, withdrawn actions, delistings and findings, against a real Postgres."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.bars.adjustment import undo_splits
from sql.store import MergedBars, Store
from tests.support.rows import query

DAY = timedelta(days=1)
T0 = datetime(2020, 3, 1, tzinfo=UTC)
SESSIONS = [f"2020-02-{day:02d}" for day in (3, 4, 5, 6, 7, 10)]
_names = itertools.count(1)
ActionKey = tuple[str, str]


@dataclass(frozen=True)
class Download:
    """What a source said on a day: closes as traded, and splits and dividends."""

    day: int
    closes: dict[str, float]
    actions: dict[ActionKey, float] = field(default_factory=dict)

    @property
    def known_at(self) -> datetime:
        """When it said so."""
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
    for each in downloads:
        bars, actions = frames(each, symbol)
        said = {"source": "file", "instruments": instruments, "bars": bars, "actions": actions}
        done.append(store.merge_bars(**said, known_at=each.known_at, **({"accept_restated": True} | options)))
    return done


def state(store: Store, database_url: str, symbol: str) -> list[Any]:
    """Everything that is stored of a symbol's prices, and all that can be read of it at any moment."""
    return [
        query(database_url, f"select {columns} from market.{table} where symbol = '{symbol}' order by 1, 2, 3")
        for table, columns in (
            ("daily_bar", "session, known_at, close"),
            ("bar_revision", "session, revised_at, old_close, old_known_at, new_close"),
            ("corporate_action", "ex_date, kind, known_at, value"),
        )
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # day said, close: what is known on days 1, 2, 3
        ([(1, 10.0), (2, 12.0), (3, 10.0)], [10.0, 12.0, 10.0]),
        ([(1, 10.0), (2, 10.0), (3, 12.0)], [10.0, 10.0, 12.0]),
        ([(1, 10.0), (2, 12.0), (3, 12.0)], [10.0, 12.0, 12.0]),
        ([(1, 10.0), (2, 12.0), (3, 14.0)], [10.0, 12.0, 14.0]),
    ],
)
def test_merge_bars_in_any_order_of_downloads_knows_the_same(
    store: Store, database_url: str, said: list[tuple[int, float]], expected: list[float]
) -> None:
    downloads = [Download(day, {"2020-02-03": close}) for day, close in said]
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
    """Downloads of some sessions, with corrections of bars, and of splits and dividends that come and go."""
    found = []
    for day in range(draw(st.integers(1, 4))):
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
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(said=downloads(), random=st.randoms())
def test_merge_bars_in_any_order_ends_in_the_same_state(
    store: Store, database_url: str, said: list[Download], random: Any
) -> None:
    """Bars, corrections, splits, dividends and withdrawals, shuffled, and some of them twice."""
    in_time, shuffled = f"A{next(_names)}", f"B{next(_names)}"
    merge(store, in_time, *said)
    order = said + said[:1]
    random.shuffle(order)
    merge(store, shuffled, *order)
    assert state(store, database_url, shuffled) == state(store, database_url, in_time)
    for each in said:
        known = [
            store.read_actions([name], as_of=date(2020, 3, 1), known_at=each.known_at) for name in (in_time, shuffled)
        ]
        pd.testing.assert_frame_equal(known[0].drop(columns="symbol"), known[1].drop(columns="symbol"))


@st.composite
def histories(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, list[int]]:
    """Bars as traded, their splits and dividends, and the sessions after which somebody downloaded them."""
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
    """What Yahoo would give: prices and dividends divided by every later split."""
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
def test_merge_bars_of_restated_downloads_in_any_order_gives_what_was_traded(
    store: Store, history: tuple[pd.DataFrame, pd.DataFrame, list[int]], random: Any
) -> None:
    """Each later split restates a download's whole history; as traded, there is one history and nothing is revised."""
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
    """One for the fact, one that says that there was a download; no bar, whatever the source restated."""
    bars = dict.fromkeys(SESSIONS, 10.0)
    merge(store, "A", Download(0, bars))
    tables = "market.daily_bar", "market.bar_revision", "market.corporate_action", "market.instrument", "ops.download"

    def rows() -> list[set[Any]]:
        return [set(query(database_url, f"select ctid::text, xmin::text from {table}")) for table in tables]

    before = rows()
    merge(store, "A", Download(1, bars, {fact: 2.0}))
    written = [len(new - old) for new, old in zip(rows(), before, strict=True)]
    assert written == [0, 0, 1, 0, 1]


def test_merge_bars_withdraws_an_action_that_the_source_no_longer_gives(store: Store) -> None:
    bars = dict.fromkeys(SESSIONS, 10.0)
    facts = {("2020-02-03", "dividend"): 0.5, ("2020-02-05", "dividend"): 0.5, ("2020-02-05", "split"): 2.0}
    merge(store, "A", Download(0, bars, facts), Download(1, bars))

    def known(day: int) -> list[str]:
        return store.read_actions(["A"], as_of=date(2020, 3, 1), known_at=T0 + day * DAY)["kind"].tolist()

    assert known(0) == ["dividend", "dividend", "split"]
    # Nothing can be said of an ex-date that the download does not reach across.
    assert known(1) == ["dividend"]
    merge(store, "A", Download(2, bars, facts), Download(3, bars), knows_actions=False)
    assert known(3) == known(2) == known(0)


def test_merge_bars_refuses_a_history_on_another_basis(store: Store, database_url: str) -> None:
    """As after a 2:1 split of which the source says nothing: no bar is overwritten."""
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


def test_merge_bars_takes_a_few_corrections_for_corrections(store: Store) -> None:
    bars = {f"2020-{month:02d}-{day:02d}": 10.0 for month in (1, 2) for day in range(1, 29)}
    merge(store, "A", Download(0, bars))
    corrected = bars | dict.fromkeys(list(bars)[3:6], 12.0)
    (done,) = merge(store, "A", Download(1, corrected), accept_restated=False)
    assert (done.restated, done.revised) == ((), 3)


def answer(store: Store, day: int, outcome: str, symbol: str = "A") -> None:
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
    ("answers", "status"),
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
def test_merge_bars_believes_a_delisting_slowly(store: Store, answers: Sequence[str], status: str) -> None:
    for day, outcome in enumerate(answers):
        answer(store, day, outcome)
    known = store.read_instruments(["A"])
    assert known["status"].tolist() == [status]
    assert known["last_session"].tolist() == [pd.Timestamp("2020-02-03")]


def test_read_instruments_tells_when_a_symbol_was_last_asked_for(store: Store) -> None:
    bars = dict.fromkeys(SESSIONS, 10.0)
    merge(store, "A", Download(0, bars), Download(1, dict(list(bars.items())[3:])), Download(2, {SESSIONS[1]: 10.0}))
    known = store.read_instruments(["A"]).iloc[0]
    assert (known["whole_at"], known["requested_at"]) == (T0, T0 + DAY)
    assert known["bar_interval"] == "daily"


def finding(session: str | None, rule: str, value: float = 1.0, treatment: str = "kept") -> pd.DataFrame:
    row = ("A", pd.Timestamp(session), rule, value, treatment, "as said")
    columns = ["symbol", "session", "rule", "value", "treatment", "reason"]
    return pd.DataFrame([row], columns=columns).astype({"session": "datetime64[ns]"})


def test_merge_findings_keeps_what_stands_and_clears_what_does_not(store: Store, database_url: str) -> None:
    found = pd.concat([finding("2020-02-03", "gap"), finding("2020-02-05", "spike"), finding(None, "unreadable_line")])
    store.merge_findings(found)
    stands = "select session, rule, value from market.finding where cleared_at is null order by rule"
    everything = query(database_url, stands)
    assert [rule for _, rule, _ in everything] == ["gap", "spike", "unreadable_line"]
    versions = query(database_url, "select xmin::text, ctid::text from market.finding order by rule")
    checked: dict[str, Any] = {"symbols": ["A"], "rules": ["gap", "spike"]}
    store.merge_findings(found, **checked)
    assert query(database_url, "select xmin::text, ctid::text from market.finding order by rule") == versions
    # A check that ended before the second session cannot clear what was found there; others can.
    store.merge_findings(found.head(0), **checked, as_of=date(2020, 2, 4))
    assert [rule for _, rule, _ in query(database_url, stands)] == ["spike", "unreadable_line"]
    store.merge_findings(finding("2020-02-03", "gap", 3.0), **checked)
    assert query(database_url, stands) == [(date(2020, 2, 3), "gap", 3.0), (None, "unreadable_line", 1.0)]
