"""The paper's experiment: targets in their place, scalers that see what they may, errors known from elsewhere."""

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
from model.paper.training import build_paper_network, train_paper_network

TINY = PaperConfig(window=3, units=2, epochs=4, patience=2, batch_windows=16, seeds=(1,))


def rows(closes: list[float]) -> pd.DataFrame:
    """Flat bars on successive days."""
    sessions = pd.date_range("2000-01-01", periods=len(closes))
    return pd.DataFrame({"session": sessions, **dict.fromkeys(["open", "high", "low", "close"], closes), "volume": 1.0})


@pytest.fixture(scope="module")
def index_bars() -> pd.DataFrame:
    """Daily bars of the S&P 500, 1999 to 2018."""
    bars = arch.data.sp500.load().rename(columns=str.lower).rename_axis("session").reset_index()
    return fill_gaps(bars).bars


@pytest.mark.parametrize(("scaler", "mae", "rmse"), [("everything", 0.0060, 0.0089), ("training", 0.0095, 0.0141)])
def test_persistence_has_the_errors_that_were_measured_elsewhere(
    index_bars: pd.DataFrame, scaler: str, mae: float, rmse: float
) -> None:
    """On the S&P 500 of 1999-2018; measured with other code before this one was written."""
    experiment = make_experiment(index_bars, PaperConfig(), scaler=scaler)
    errors = score(experiment, experiment.last_close)
    assert errors["mae"] == pytest.approx(mae, abs=5e-5)
    assert errors["rmse"] == pytest.approx(rmse, abs=5e-5)
    closes = index_bars["close"].to_numpy()[4023:]
    assert errors["mae_points"] == pytest.approx(np.abs(np.diff(closes)).mean(), rel=1e-5)
    assert errors["mse_points"] == pytest.approx((np.diff(closes) ** 2).mean(), rel=1e-5)


def test_make_experiment_puts_every_target_behind_its_own_window() -> None:
    """Twenty closes 0, 1, ..., 19 and windows of three: the target of (0, 1, 2) is 3; the last four are tested."""
    config = replace(TINY, validation_share=0.25)
    experiment = make_experiment(rows([float(i) for i in range(20)]), config, scaler="everything")
    assert np.round(experiment.inputs[0, :, 3] * 19).tolist() == [0, 1, 2]
    assert np.round(experiment.target * 19).tolist() == list(range(3, 20))
    assert np.round(experiment.target[experiment.test] * 19).tolist() == [16, 17, 18, 19]
    assert np.round(experiment.inputs[experiment.test][0, :, 3] * 19).tolist() == [13, 14, 15]
    assert np.round(experiment.target[experiment.validation] * 19).tolist() == [13, 14, 15]
    assert (experiment.train, experiment.beyond_share) == (slice(0, 10), 0.0)
    assert experiment.sessions[experiment.test][0] == pd.Timestamp("2000-01-17")


def test_the_training_parts_scaler_never_sees_the_test_part() -> None:
    closes = [float(i) for i in range(20)]
    calm = make_experiment(rows(closes), TINY, scaler="training")
    wild = make_experiment(rows([*closes[:16], 900.0, -5.0, 1.0, 7.0]), TINY, scaler="training")
    assert (calm.low, calm.span) == (wild.low, wild.span) == (0.0, 15.0)
    np.testing.assert_array_equal(calm.inputs[: calm.test.start], wild.inputs[: calm.test.start])
    assert calm.beyond_share == 1.0  # 16 to 19, beyond 15
    assert wild.beyond_share == 0.5
    published = make_experiment(rows([*closes[:16], 900.0, -5.0, 1.0, 7.0]), TINY, scaler="everything")
    assert (published.low, published.span, published.beyond_share) == (-5.0, 905.0, 0.0)


def test_make_experiment_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="received 70 bars"):
        make_experiment(rows([1.0] * 70), PaperConfig(), scaler="everything")
    with pytest.raises(ValueError, match="must be one of everything, training; received 'test'"):
        make_experiment(rows([1.0] * 70), TINY, scaler="test")


def test_fill_gaps_uses_what_was_known_and_counts_it() -> None:
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


def test_in_last_shares_undoes_a_split_and_leaves_dividends_alone() -> None:
    """Two new shares for an old one on the third day: half the price, twice the volume before."""
    bars = rows([10.0, 12.0, 6.0]).assign(symbol="A")
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
    """Closes 0 to 19 on a scale of 19 points; every forecast one point too high, the last one three too low."""
    experiment = make_experiment(rows([float(i) for i in range(20)]), TINY, scaler="everything")
    forecast = experiment.target + 1 / 19
    forecast[-1] = experiment.target[-1] - 3 / 19
    errors = score(experiment, forecast)
    assert errors["mae_points"] == pytest.approx(6 / 4)
    assert errors["mse_points"] == pytest.approx(12 / 4)
    assert errors["rmse"] == pytest.approx(3**0.5 / 19)
    assert errors["train_rmse"] == pytest.approx(1 / 19)
    # 17, 18, 19 and 16, taken for forecasts of 3, 4, 5 and 6.
    assert errors["misplaced_rmse"] == pytest.approx(((3 * 14**2 + 10**2) / 4) ** 0.5 / 19)


def test_forecast_linear_finds_a_rule_that_is_linear() -> None:
    """A sine wave: x(t) = 2 cos(w) x(t-1) - x(t-2), also where it was not fitted."""
    wave = 100.0 + 10.0 * np.sin(0.7 * np.arange(200))
    experiment = make_experiment(rows(wave.tolist()), TINY, scaler="training")
    errors = score(experiment, forecast_linear(experiment))
    assert errors["rmse"] < 1e-5
    assert score(experiment, experiment.last_close)["rmse"] > 0.1


def test_autocorrelation_by_hand() -> None:
    """Of 1, 2, 3, 4: centred -1.5, -0.5, 0.5, 1.5 with squares summing to 5."""
    np.testing.assert_allclose(autocorrelation(np.array([1.0, 2.0, 3.0, 4.0]), 2), [1.25 / 5, -1.5 / 5])


@pytest.mark.parametrize(
    ("kind", "count"),
    [("lstm", 4 * 50 * (5 + 50 + 1) + 51), ("gru", 3 * 50 * (5 + 50 + 2) + 51), ("hybrid", 11_200 + 15_300 + 51)],
)
def test_build_paper_network_has_the_papers_layers(kind: str, count: int) -> None:
    """Weights of four gates, or of three with two biases each, of 50 units; GRU on 50 inputs in the hybrid."""
    assert build_paper_network(kind, PaperConfig()).count_params() == count


def test_build_paper_network_refuses_another_kind() -> None:
    with pytest.raises(ValueError, match="must be one of hybrid, lstm, gru; received 'rnn'"):
        build_paper_network("rnn", TINY)


@pytest.mark.parametrize("kind", ["hybrid", "gru"])
def test_train_paper_network_gives_the_same_bits_whatever_was_trained_before(kind: str) -> None:
    wave = 100.0 + 10.0 * np.sin(0.7 * np.arange(120))
    experiment = make_experiment(rows(wave.tolist()), TINY, scaler="everything")
    first = train_paper_network(experiment, TINY, kind=kind, seed=1)
    other = train_paper_network(experiment, TINY, kind=kind, seed=2)
    again = train_paper_network(experiment, TINY, kind=kind, seed=1)
    np.testing.assert_array_equal(first.forecast, again.forecast)
    assert first.curve == again.curve
    assert not np.array_equal(first.forecast, other.forecast)


def test_train_paper_network_takes_the_weights_of_the_best_pass_and_stops_soon_after() -> None:
    """Its forecast of the validation's targets has the smallest loss of the curve."""
    wave = 100.0 + 10.0 * np.sin(0.7 * np.arange(120))
    config = replace(TINY, learning_rate=0.3, epochs=50)
    experiment = make_experiment(rows(wave.tolist()), config, scaler="everything")
    trained = train_paper_network(experiment, config, kind="lstm", seed=1)
    losses = [epoch.validation_loss for epoch in trained.curve]
    missed = (trained.forecast - experiment.target)[experiment.validation]
    assert np.mean(missed**2) == pytest.approx(min(losses), rel=1e-5)
    assert losses.index(min(losses)) + 1 == trained.best_epoch
    assert len(losses) == trained.best_epoch + config.patience < 50
