"""The sample source: two indices of known closes."""

from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from model.frames import FINDING_TYPES
from tasks.sources.base import Outcome, SourceOutcome
from tasks.sources.sample import SampleSource

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def test_sample_lists_both_indices() -> None:
    source = SampleSource()
    assert (source.kind, source.default_universe) == ("sample", "sample")
    table = source.instruments()
    assert table is not None
    assert table.drop(columns="first_trade").to_numpy().tolist() == [
        ["^GSPC", "XNYS", "USD", "daily", pd.Timestamp("1999-01-04"), pd.Timestamp("2018-12-31")],
        ["^IXIC", "XNAS", "USD", "daily", pd.Timestamp("1999-01-04"), pd.Timestamp("2018-12-31")],
    ]


def test_sample_has_the_published_closes() -> None:
    """S&P 500: 1228.10 on 1999-01-04 and 2506.85 on 2018-12-31; NASDAQ Composite: 6635.28 on that day."""
    fetched = SampleSource().fetch({"^IXIC": None, "^GSPC": None}, NOW)
    close = fetched.bars.set_index(["symbol", "session"])["close"]
    assert close["^GSPC", pd.Timestamp("1999-01-04")] == pytest.approx(1228.10, abs=0.005)
    assert close["^GSPC", pd.Timestamp("2018-12-31")] == pytest.approx(2506.85, abs=0.005)
    assert close["^IXIC", pd.Timestamp("2018-12-31")] == pytest.approx(6635.28, abs=0.005)
    assert [outcome.symbol for outcome in fetched.outcomes] == ["^IXIC", "^GSPC"]
    assert close.index.is_monotonic_increasing
    assert close.index.is_unique
    assert fetched.actions.empty
    assert fetched.findings.empty
    assert list(fetched.findings.columns) == list(FINDING_TYPES)


def test_sample_starts_each_symbol_at_its_first_session() -> None:
    firsts = {"^GSPC": date(2018, 12, 28), "^IXIC": date(2018, 12, 31)}
    bars = SampleSource().fetch(firsts, NOW).bars
    assert bars.groupby("symbol")["session"].min().dt.date.to_dict() == firsts


def test_sample_agrees_with_a_recording_of_the_same_index(shared_data: Path) -> None:
    raw = pd.read_csv(shared_data / "messy" / "GSPC_yahoo_daily_1927_2018_raw.csv.gz", parse_dates=["Date"])
    bars = SampleSource().fetch({"^GSPC": None}, NOW).bars
    both = bars.merge(raw, left_on="session", right_on="Date")
    assert len(both) > 4_900
    assert (both["close"] / both["Close"] - 1).abs().max() < 1e-6


def test_sample_starts_at_first_and_stops_at_the_last_closed_session() -> None:
    """15:00 UTC on Tuesday 2010-03-09 is the middle of that session in New York."""
    fetched = SampleSource().fetch({"^GSPC": date(2010, 3, 4)}, datetime(2010, 3, 9, 15, tzinfo=UTC))
    assert fetched.bars["session"].dt.strftime("%m-%d").tolist() == ["03-04", "03-05", "03-08"]


def test_sample_reports_missing_symbols_and_sessions() -> None:
    fetched = SampleSource().fetch(dict.fromkeys(["AAPL", "^GSPC"], date(2019, 1, 1)), NOW)
    assert fetched.bars.empty
    assert fetched.outcomes == (
        SourceOutcome("AAPL", Outcome.MISSING, "the sample has only ^GSPC and ^IXIC"),
        SourceOutcome("^GSPC", Outcome.MISSING, "no prices from 2019-01-01 to 2026-11-23"),
    )
