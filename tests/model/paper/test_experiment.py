"""The paper's experiment: windows and targets, scalers, gaps, scores by hand and from other code."""

from dataclasses import replace

import arch.data.sp500
import numpy as np
import pandas as pd
import pytest

from model.paper.experiment import (
    PaperConfig,
    autocorrelation,
    fill_gaps,
    forecast_linear,
    in_last_shares,
    make_experiment,
    score,
)
from tests.support.paper import TINY, flat_bars


@pytest.fixture(scope="module")
def index_bars() -> pd.DataFrame:
    """Daily bars of the S&P 500, 1999 to 2018."""
    bars = arch.data.sp500.load().rename(columns=str.lower).rename_axis("session").reset_index()
    return fill_gaps(bars).bars


@pytest.mark.parametrize(("scaler", "mae", "rmse"), [("everything", 0.0060, 0.0089), ("training", 0.0095, 0.0141)])
def test_persistence_has_the_errors_of_other_code(
    index_bars: pd.DataFrame, scaler: str, mae: float, rmse: float
) -> None:
    """S&P 500, 1999 to 2018; the expected errors were computed with other code."""
    experiment = make_experiment(index_bars, PaperConfig(), scaler=scaler)
    errors = score(experiment, experiment.last_close)
    assert errors["mae"] == pytest.approx(mae, abs=5e-5)
    assert errors["rmse"] == pytest.approx(rmse, abs=5e-5)
    closes = index_bars["close"].to_numpy()[4023:]
    assert errors["mae_points"] == pytest.approx(np.abs(np.diff(closes)).mean(), rel=1e-5)
    assert errors["mse_points"] == pytest.approx((np.diff(closes) ** 2).mean(), rel=1e-5)


def test_make_experiment_puts_each_target_after_its_window() -> None:
    """Closes 0, 1, ..., 19 and windows of three: the target of (0, 1, 2) is 3, and the test part has four targets."""
    config = replace(TINY, validation_share=0.25)
    experiment = make_experiment(flat_bars([float(i) for i in range(20)]), config, scaler="everything")
    assert np.round(experiment.inputs[0, :, 3] * 19).tolist() == [0, 1, 2]
    assert np.round(experiment.target * 19).tolist() == list(range(3, 20))
    assert np.round(experiment.target[experiment.test] * 19).tolist() == [16, 17, 18, 19]
    assert np.round(experiment.inputs[experiment.test][0, :, 3] * 19).tolist() == [13, 14, 15]
    assert np.round(experiment.target[experiment.validation] * 19).tolist() == [13, 14, 15]
    assert (experiment.train, experiment.beyond_share) == (slice(0, 10), 0.0)
    assert experiment.sessions[experiment.test][0] == pd.Timestamp("2000-01-17")


def test_training_scaler_does_not_use_the_test_part() -> None:
    closes = [float(i) for i in range(20)]
    usual = make_experiment(flat_bars(closes), TINY, scaler="training")
    extreme = make_experiment(flat_bars([*closes[:16], 900.0, -5.0, 1.0, 7.0]), TINY, scaler="training")
    assert (usual.low, usual.span) == (extreme.low, extreme.span) == (0.0, 15.0)
    np.testing.assert_array_equal(usual.inputs[: usual.test.start], extreme.inputs[: usual.test.start])
    assert usual.beyond_share == 1.0  # 16 to 19, beyond 15
    assert extreme.beyond_share == 0.5
    published = make_experiment(flat_bars([*closes[:16], 900.0, -5.0, 1.0, 7.0]), TINY, scaler="everything")
    assert (published.low, published.span, published.beyond_share) == (-5.0, 905.0, 0.0)


def test_make_experiment_refuses_too_few_bars_and_unknown_scalers() -> None:
    with pytest.raises(ValueError, match="received 70 bars"):
        make_experiment(flat_bars([1.0] * 70), PaperConfig(), scaler="everything")
    with pytest.raises(ValueError, match="must be one of everything, training; received 'test'"):
        make_experiment(flat_bars([1.0] * 70), TINY, scaler="test")


def test_fill_gaps_uses_earlier_values_and_counts_them() -> None:
    nan = float("nan")
    bars = pd.DataFrame(
        {
            "session": pd.date_range("2000-01-01", periods=4),
            "open": [nan, nan, 12.0, 9.0],
            "high": [11.0, 13.0, nan, 9.0],
            "low": [9.0, 10.0, 11.0, 9.0],
            "close": [10.0, 12.0, 13.0, nan],
            "volume": [nan, 5.0, 6.0, 7.0],
        }
    )
    before = bars.copy()
    filled = fill_gaps(bars)
    assert filled.bars["open"].tolist() == [10.0, 10.0, 12.0]
    assert filled.bars["high"].tolist() == [11.0, 13.0, 13.0]
    assert filled.bars["volume"].tolist() == [0.0, 5.0, 6.0]
    assert (filled.opens, filled.ranges, filled.volumes) == (2, 1, 1)
    pd.testing.assert_frame_equal(bars, before)


def test_in_last_shares_adjusts_for_splits_only() -> None:
    """A split of 2:1 on the third day: earlier prices are halved and volumes doubled."""
    bars = flat_bars([10.0, 12.0, 6.0]).assign(symbol="A")
    actions = pd.DataFrame(
        {
            "symbol": "A",
            "ex_date": pd.to_datetime(["2000-01-02", "2000-01-03"]),
            "kind": ["dividend", "split"],
            "value": [1.0, 2.0],
        }
    )
    restated = in_last_shares(bars, actions)
    assert restated["close"].tolist() == [5.0, 6.0, 6.0]
    assert restated["volume"].tolist() == [2.0, 2.0, 1.0]


def test_score_by_hand() -> None:
    """Closes 0 to 19, a span of 19 points; every forecast is one point too high, the last three too low."""
    experiment = make_experiment(flat_bars([float(i) for i in range(20)]), TINY, scaler="everything")
    forecast = experiment.target + 1 / 19
    forecast[-1] = experiment.target[-1] - 3 / 19
    errors = score(experiment, forecast)
    assert errors["mae_points"] == pytest.approx(6 / 4)
    assert errors["mse_points"] == pytest.approx(12 / 4)
    assert errors["rmse"] == pytest.approx(3**0.5 / 19)
    assert errors["train_rmse"] == pytest.approx(1 / 19)
    # The forecasts 17, 18, 19 and 16 against the first targets 3, 4, 5 and 6.
    assert errors["misplaced_rmse"] == pytest.approx(((3 * 14**2 + 10**2) / 4) ** 0.5 / 19)


def test_forecast_linear_finds_a_linear_recursion() -> None:
    """A sine wave, x(t) = 2 cos(w) x(t-1) - x(t-2), is forecast on the test part."""
    wave = 100.0 + 10.0 * np.sin(0.7 * np.arange(200))
    experiment = make_experiment(flat_bars(wave.tolist()), TINY, scaler="training")
    errors = score(experiment, forecast_linear(experiment))
    assert errors["rmse"] < 1e-5
    assert score(experiment, experiment.last_close)["rmse"] > 0.1


def test_autocorrelation_by_hand() -> None:
    """1, 2, 3, 4: centred -1.5, -0.5, 0.5, 1.5, with a sum of squares of 5."""
    np.testing.assert_allclose(autocorrelation(np.array([1.0, 2.0, 3.0, 4.0]), 2), [1.25 / 5, -1.5 / 5])
