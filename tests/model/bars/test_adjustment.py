"""From prices as traded to returns and months, against numbers by hand and a provider's own adjusted close."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bars.adjustment import actions_from_adjusted_close, adjusted_close, total_log_returns, undo_splits
from model.bars.months import build_months

DAYS = pd.to_datetime(["2020-01-30", "2020-01-31", "2020-02-03", "2020-02-28", "2020-03-02"])


def make_bars(close: list[float], symbol: str = "A", days: pd.DatetimeIndex = DAYS) -> pd.DataFrame:
    price = np.array(close)
    prices = {"open": price, "high": price, "low": price, "close": price}
    return pd.DataFrame({"symbol": symbol, "session": days[: len(price)], **prices, "volume": 1000.0})


def make_actions(*rows: tuple[str, str, float]) -> pd.DataFrame:
    actions = pd.DataFrame(rows, columns=["ex_date", "kind", "value"])
    return actions.assign(symbol="A", ex_date=pd.to_datetime(actions["ex_date"]))


def test_total_log_returns_by_hand() -> None:
    """100 → 51 after a 2:1 split with a dividend of 1 a new share: 100 buys 2 shares, worth 100/2 - 1 = 49 before."""
    bars = make_bars([100.0, 51.0, 51.0])
    actions = make_actions(("2020-01-31", "split", 2.0), ("2020-01-31", "dividend", 1.0))
    returns = total_log_returns(bars, actions)
    assert np.isnan(returns[0])
    assert returns[1:].tolist() == pytest.approx([np.log(51 / 49), 0.0])


def test_undo_splits_by_hand() -> None:
    """A later 4:1 split divided the price by 4, multiplied the volume by 4 and divided the dividend by 4."""
    bars = make_bars([25.0, 26.0, 27.0])
    actions = make_actions(("2020-02-03", "split", 4.0), ("2020-01-31", "dividend", 0.25))
    traded, facts = undo_splits(bars, actions)
    assert traded["close"].tolist() == [100.0, 104.0, 27.0]
    assert traded["volume"].tolist() == [250.0, 250.0, 1000.0]
    assert facts.set_index("kind")["value"].to_dict() == {"split": 4.0, "dividend": 1.0}


def test_actions_from_adjusted_close_by_hand() -> None:
    """A dividend of 2 on a close of 100 scales what came before by 0.98."""
    bars = make_bars([100.0, 98.0, 99.0]).assign(adj_close=[98.0, 98.0, 99.0])
    actions = actions_from_adjusted_close(bars)
    assert actions["ex_date"].tolist() == [DAYS[1]]
    assert actions["value"].tolist() == pytest.approx([2.0])


@settings(max_examples=50, deadline=None)
@given(
    close=st.lists(st.floats(20, 200), min_size=3, max_size=30),
    dividends=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.1]), min_size=30, max_size=30),
)
def test_actions_from_adjusted_close_find_the_dividends_that_made_it(
    close: list[float], dividends: list[float]
) -> None:
    price = np.array(close)
    paid = np.array(dividends[: len(price)])
    paid[0] = 0.0
    kept = 1 - paid[1:] / price[:-1]
    adjusted = price * np.append(np.cumprod(kept[::-1])[::-1], 1.0)
    bars = make_bars(close, days=pd.bdate_range("2020-01-01", periods=30)).assign(adj_close=adjusted)
    actions = actions_from_adjusted_close(bars)
    assert actions["value"].tolist() == pytest.approx(paid[paid > 0].tolist(), rel=1e-6)


def test_adjusted_close_agrees_with_the_providers_on_every_recorded_symbol(shared_data: Path) -> None:
    columns = {"ticker": "symbol", "date": "session"}
    bars = pd.read_csv(shared_data / "daily.csv.gz", engine="pyarrow").rename(columns=columns)
    bars = bars[bars["symbol"].isin(sorted(bars["symbol"].unique())[::8])].reset_index(drop=True)
    bars["session"] = pd.to_datetime(bars["session"])
    ours = adjusted_close(bars, actions_from_adjusted_close(bars), pd.Timestamp("2018-12-18"))
    ratio = ours / bars["adj_close"]
    # Theirs is adjusted to a later day: one factor a symbol.
    spread = ratio.groupby(bars["symbol"]).agg(lambda own: own.max() / own.min() - 1)
    assert spread.max() < 1e-4


MONTHS = pd.DataFrame(
    {
        "month": pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01"]),
        "last_session": pd.to_datetime(["2020-01-31", "2020-02-28", "2020-03-31"]),
        "sessions_expected": [21, 19, 22],
    }
)


def test_build_months_by_hand() -> None:
    bars = make_bars([100.0, 110.0, 121.0, 99.0, 98.0])
    months = build_months(bars, make_actions(), MONTHS, pd.Timestamp("2020-03-02")).set_index("month")
    assert months["close"].tolist() == [110.0, 99.0, 98.0]
    assert months["high"].tolist() == [110.0, 121.0, 98.0]
    assert months["volume"].tolist() == [2000.0, 2000.0, 1000.0]
    assert months["is_final"].tolist() == [True, True, False]
    february = months.loc["2020-02-01"]
    assert february["log_return"] == pytest.approx(np.log(99 / 110))
    assert february["realised_variance"] == pytest.approx(np.log(1.1) ** 2 + np.log(99 / 121) ** 2)
    assert (february["sessions_present"], february["sessions_expected"]) == (2, 19)
    assert february["last_session"] == pd.Timestamp("2020-02-28")
    assert np.isnan(months["log_return"].iloc[0])


def test_build_months_is_final_only_with_its_last_session() -> None:
    bars = make_bars([100.0, 110.0, 121.0])
    months = build_months(bars, make_actions(), MONTHS, pd.Timestamp("2020-03-31"))
    assert months["is_final"].tolist() == [True, False]


def test_build_months_knows_nothing_after_as_of() -> None:
    bars = make_bars([100.0, 110.0, 121.0, 99.0, 98.0])
    actions = make_actions(("2020-02-28", "dividend", 5.0))
    early = build_months(bars, actions, MONTHS, pd.Timestamp("2020-02-10"))
    assert early["close"].tolist() == [110.0, 121.0]
    assert early["log_return"].tolist()[1] == pytest.approx(np.log(1.1))
