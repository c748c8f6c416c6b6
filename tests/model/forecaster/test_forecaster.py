"""The forecaster: no look into the future, forecasts by hand, fine-tuning, and no skill without signal."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model import quantile_names
from model.evaluation.backtest import known_returns, score_origins
from model.evaluation.gate import evaluate
from model.forecaster.features import make_panel
from model.forecaster.forecaster import Forecaster, fine_tune, standardise, train
from model.forecaster.serialization import to_bytes
from model.forecaster.split import split_origins
from tests.support.simulated import SMALL, shuffle_after, simulate_months, train_on

QUANTILES = quantile_names(SMALL.quantile_levels)
CUT = pd.Timestamp("2010-06-01")


def test_train_and_forecast_do_not_use_the_future(months: pd.DataFrame) -> None:
    """Later months of the panel change no bit of a model trained on earlier months, nor of its forecast."""
    results = []
    for frame in (months, shuffle_after(months, CUT)):
        panel = make_panel(frame, SMALL)
        past = panel.until(CUT)
        trained = train(past, split_origins(len(past.months), SMALL), SMALL)
        results.append((to_bytes(trained), trained.forecast(past, CUT)))
    assert results[0][0] == results[1][0]
    pd.testing.assert_frame_equal(results[0][1], results[1][1], check_exact=True)


def test_forecast_does_not_depend_on_later_months(months: pd.DataFrame, forecaster: Forecaster) -> None:
    """Later months change the market scale of later origins only."""
    panel = make_panel(months, SMALL)
    alone = forecaster.forecast(panel.until(CUT), CUT)
    together = forecaster.forecast_many(panel, [CUT, panel.months[-1]]).query("origin_month == @CUT")
    pd.testing.assert_frame_equal(together.reset_index(drop=True), alone, rtol=1e-6)


def test_forecast_has_rising_quantiles_of_every_forecaster(months: pd.DataFrame, forecaster: Forecaster) -> None:
    panel = make_panel(months, SMALL)
    rows = forecaster.forecast(panel, panel.months[-1])
    assert len(rows) == 12 * 12 * 3
    assert (np.diff(rows[QUANTILES].to_numpy(), axis=1) > 0).all()
    ahead = rows["target_month"].dt.to_period("M").astype("int64") - rows["origin_month"].dt.to_period("M").astype(
        "int64"
    )
    assert (ahead == rows["horizon"]).all()


def test_persistence_is_a_gaussian_random_walk(months: pd.DataFrame, forecaster: Forecaster) -> None:
    panel = make_panel(months, SMALL)
    rows = forecaster.forecast(panel, panel.months[-1])
    returns = months.loc[months["symbol"] == "S03", "log_return"].dropna()
    row = rows.query("symbol == 'S03' and horizon == 4 and forecaster == 'persistence'").iloc[0]
    deviation = np.sqrt((returns**2).mean()) * 2.0  # √4
    assert row["q50"] == pytest.approx(0.0, abs=1e-15)
    assert row["q975"] == pytest.approx(1.959963984540054 * deviation)
    assert row["q10"] == pytest.approx(-1.2815515655446004 * deviation)


def test_known_returns_are_sums_of_monthly_returns(months: pd.DataFrame) -> None:
    panel = make_panel(months, SMALL)
    known = known_returns(panel, [100]).query("symbol == 'S05' and horizon == 3")["log_return"].item()
    returns = months.loc[months["symbol"] == "S05", "log_return"].to_numpy()
    assert known == pytest.approx(returns[101] + returns[102] + returns[103])


def test_a_random_walk_shows_no_skill() -> None:
    walk = simulate_months()
    panel = make_panel(walk, SMALL)
    split = split_origins(len(panel.months), SMALL)
    scored = score_origins(train(panel, split, SMALL), panel, split.holdout)
    crps = scored[scored["horizon"] == 1].groupby("forecaster")["crps"].mean()
    assert crps["baseline"] / crps["persistence"] == pytest.approx(1.0, abs=0.03)
    assert crps["hybrid"] / crps["baseline"] == pytest.approx(1.0, abs=0.03)
    assert evaluate(scored, SMALL).served == "baseline"


def test_networks_with_too_small_a_gain_are_not_used(months: pd.DataFrame) -> None:
    """If the whole loss must be saved, no network is used and the hybrid equals the baseline."""
    strict = train_on(months, replace(SMALL, smallest_gain=1.0))
    assert strict.trained["epochs"].tolist() == [0]
    panel = make_panel(months, SMALL)
    rows = strict.forecast(panel, panel.months[-1]).set_index("forecaster")
    np.testing.assert_allclose(rows.loc["hybrid", QUANTILES], rows.loc["baseline", QUANTILES], rtol=1e-6)


def test_fine_tune_starts_from_the_given_weights(months: pd.DataFrame, forecaster: Forecaster) -> None:
    """After a year of new months the baseline is refitted as in a new training, and the networks move little."""
    config = SMALL
    panel = make_panel(months, config)
    past = panel.until(panel.months[-13])
    old = train(past, split_origins(len(past.months), config), config)
    split = split_origins(len(panel.months), config)
    tuned = fine_tune(old, panel, split)
    np.testing.assert_array_equal(tuned.baseline.beta, forecaster.baseline.beta)
    np.testing.assert_array_equal(tuned.input_mean, old.input_mean)
    for before, after in zip(old.networks[0], tuned.networks[0], strict=True):
        # Two epochs of one step at 2e-4 with Adam move a weight by little more than 4e-4.
        assert np.abs(after - before).max() < 2e-3
    assert to_bytes(fine_tune(old, panel, split)) == to_bytes(tuned)


def test_fine_tune_keeps_networks_without_improvement(months: pd.DataFrame, forecaster: Forecaster) -> None:
    panel = make_panel(months, SMALL)
    constant = replace(forecaster, config=replace(SMALL, fine_tune_rate=0.0))
    tuned = fine_tune(constant, panel, split_origins(len(panel.months), SMALL))
    assert tuned.trained["epochs"].tolist() == [0]
    assert tuned.trained["validation_loss"].item() == pytest.approx(
        forecaster.trained["validation_loss"].item(), rel=1e-3
    )
    for before, after in zip(forecaster.networks[0], tuned.networks[0], strict=True):
        np.testing.assert_array_equal(before, after)


def test_hybrid_applies_the_corrections_to_the_baseline(months: pd.DataFrame, forecaster: Forecaster) -> None:
    """Median and range of the hybrid from those of the baseline, and the corrections of the networks."""
    panel = make_panel(months, SMALL)
    moved = train(panel, split_origins(len(panel.months), SMALL), replace(SMALL, smallest_gain=-1.0))
    origin = panel.months[-1]
    rows = moved.forecast(panel, origin).set_index(["forecaster", "symbol", "horizon"])
    log_scale, location = (part[:, -1] for part in moved.corrections(panel.inputs))
    unit = moved.baseline.standardised_quantiles[:, -1] - moved.baseline.standardised_quantiles[:, 0]
    for column, symbol in ((0, "S03"), (5, "S07")):
        horizon, number = column + 1, panel.symbols.index(symbol)
        hybrid, baseline = (rows.loc[(name, symbol, horizon), QUANTILES] for name in ("hybrid", "baseline"))
        widths = [row["q975"] - row["q025"] for row in (hybrid, baseline)]
        assert widths[0] / widths[1] == pytest.approx(np.exp(log_scale[number, column]), rel=1e-6)
        scale = widths[1] / unit[column]
        shift = hybrid["q50"] - baseline["q50"]
        assert shift == pytest.approx(location[number, column] * scale, rel=1e-4, abs=1e-12)
        assert shift != 0.0


def test_standardise_by_hand() -> None:
    inputs = np.array([[[1.0, 4.0], [0.0, 0.0]]])
    found = standardise(inputs, np.array([2.0, 2.0]), np.array([0.5, 4.0]))
    assert found.dtype == np.float32
    assert found.tolist() == [[[-2.0, 0.5], [0.0, 0.0]]]  # a missing month is at the mean
