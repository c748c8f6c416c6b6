"""The forecaster: what it may know, what it finds, and that it says the same twice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model import quantile_names
from model.config import ForecasterConfig
from model.evaluation.backtest import known_returns, score_origins
from model.evaluation.gate import evaluate
from model.forecaster import compiled_network as compiled
from model.forecaster.features import make_panel
from model.forecaster.forecaster import Forecaster, fine_tune, train
from model.forecaster.serialization import from_bytes, to_bytes
from model.forecaster.split import split_origins
from tests.support.simulated import SMALL, simulate_months

QUANTILES = quantile_names(SMALL.quantile_levels)
CUT = pd.Timestamp("2010-06-01")


def fit(months: pd.DataFrame, config: ForecasterConfig = SMALL) -> Forecaster:
    panel = make_panel(months, config)
    return train(panel, split_origins(len(panel.months), config), config)


@pytest.fixture(scope="module")
def forecaster(months: pd.DataFrame) -> Forecaster:
    return fit(months)


def shuffle_after(months: pd.DataFrame, cut: pd.Timestamp) -> pd.DataFrame:
    later = (months["month"] > cut).to_numpy()
    values = ["log_return", "realised_variance", "close", "high", "low", "volume"]
    order = np.random.default_rng(3).permutation(np.flatnonzero(later))
    shuffled = months.copy()
    shuffled.loc[later, values] = months.iloc[order][values].to_numpy()
    return shuffled


def test_make_panel_gives_features_that_the_future_does_not_change(months: pd.DataFrame) -> None:
    panels = [make_panel(frame, SMALL) for frame in (months, shuffle_after(months, CUT))]
    stop = int(panels[0].months.searchsorted(CUT, side="right"))
    for name in ("sigma", "random_walk_sd", "x", "inputs"):
        truth, shuffled = (getattr(panel, name)[:, :stop] for panel in panels)
        np.testing.assert_array_equal(truth, shuffled)
    assert not np.array_equal(panels[0].x, panels[1].x)


def test_train_and_forecast_never_look_past_the_origin(months: pd.DataFrame) -> None:
    """Later months in the panel change no bit of a model trained on earlier ones, nor of its forecast."""
    written = []
    for frame in (months, shuffle_after(months, CUT)):
        panel = make_panel(frame, SMALL)
        past = panel.until(CUT)
        trained = train(past, split_origins(len(past.months), SMALL), SMALL)
        written.append((to_bytes(trained), trained.forecast(past, CUT)))
    assert written[0][0] == written[1][0]
    pd.testing.assert_frame_equal(written[0][1], written[1][1], check_exact=True)


def test_forecast_is_the_same_whether_or_not_the_panel_goes_on(months: pd.DataFrame, forecaster: Forecaster) -> None:
    """What the months after an origin teach, such as the scale of past misses, does not reach back to it."""
    panel = make_panel(months, SMALL)
    at_the_time = forecaster.forecast(panel.until(CUT), CUT)
    among_others = forecaster.forecast_many(panel, [CUT, panel.months[-1]]).query("origin_month == @CUT")
    pd.testing.assert_frame_equal(among_others.reset_index(drop=True), at_the_time, rtol=1e-6)


def test_split_origins_keeps_the_longest_horizon_between_its_parts() -> None:
    split = split_origins(300, SMALL)
    gap = SMALL.longest_horizon
    assert split.train.stop - 1 + gap <= split.validation.start
    assert split.validation.stop - 1 + gap <= split.judged.start
    assert split.judged.stop == 299


def test_split_origins_says_how_many_months_are_needed() -> None:
    with pytest.raises(ValueError, match="at least 96 months of history: received 95"):
        split_origins(95, SMALL)


def test_train_gives_the_same_bytes_for_the_same_seed_and_others_for_another(
    months: pd.DataFrame, forecaster: Forecaster
) -> None:
    assert to_bytes(fit(months)) == to_bytes(forecaster)
    assert to_bytes(fit(months, replace(SMALL, seeds=(2,)))) != to_bytes(forecaster)


def test_train_remembers_nothing_of_what_the_process_trained_before(months: pd.DataFrame) -> None:
    """The compiled network is kept from one training to the next; its weights, dropout and optimiser are not."""
    panel = make_panel(months, SMALL)
    split = split_origins(len(panel.months), SMALL)
    eager = replace(SMALL, smallest_gain=-1.0, patience=9)  # so that weights moved, and every pass counts
    fine_tune(train(panel, split, replace(eager, seeds=(7,))), panel, split)
    late = to_bytes(train(panel, split, eager))
    compiled._compile_network.cache_clear()
    assert to_bytes(train(panel, split, eager)) == late


def test_weights_forecast_the_same_after_the_way_through_bytes(months: pd.DataFrame, forecaster: Forecaster) -> None:
    panel = make_panel(months, SMALL)
    restored = from_bytes(to_bytes(forecaster))
    expected = forecaster.forecast(panel, panel.months[-1])
    pd.testing.assert_frame_equal(restored.forecast(panel, panel.months[-1]), expected, check_exact=True)


@pytest.mark.parametrize("damage", ["cut", "flip", "nothing"])
def test_from_bytes_refuses_what_is_damaged(forecaster: Forecaster, damage: str) -> None:
    content = to_bytes(forecaster)
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "flip": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
        "nothing": b"",
    }[damage]
    with pytest.raises(ValueError, match="damaged"):
        from_bytes(damaged)


def test_forecast_gives_rising_quantiles_of_every_forecaster(months: pd.DataFrame, forecaster: Forecaster) -> None:
    panel = make_panel(months, SMALL)
    rows = forecaster.forecast(panel, panel.months[-1])
    assert len(rows) == 12 * 12 * 3
    assert (np.diff(rows[QUANTILES].to_numpy(), axis=1) > 0).all()
    ahead = rows["target_month"].dt.to_period("M").astype("int64") - rows["origin_month"].dt.to_period("M").astype(
        "int64"
    )
    assert (ahead == rows["horizon"]).all()


def test_forecast_of_persistence_is_the_gaussian_of_the_symbols_own_moves(
    months: pd.DataFrame, forecaster: Forecaster
) -> None:
    panel = make_panel(months, SMALL)
    rows = forecaster.forecast(panel, panel.months[-1])
    own = months.loc[months["symbol"] == "S03", "log_return"].dropna()
    row = rows.query("symbol == 'S03' and horizon == 4 and forecaster == 'persistence'").iloc[0]
    deviation = np.sqrt((own**2).mean()) * 2.0  # √4
    assert row["q50"] == pytest.approx(0.0, abs=1e-15)
    assert row["q975"] == pytest.approx(1.959963984540054 * deviation)
    assert row["q10"] == pytest.approx(-1.2815515655446004 * deviation)


def test_known_returns_are_the_sums_of_the_months_ahead(months: pd.DataFrame) -> None:
    panel = make_panel(months, SMALL)
    found = known_returns(panel, [100]).query("symbol == 'S05' and horizon == 3")["log_return"].item()
    own = months.loc[months["symbol"] == "S05", "log_return"].to_numpy()
    assert found == pytest.approx(own[101] + own[102] + own[103])


def test_the_baseline_finds_volatility_that_clusters(months: pd.DataFrame, forecaster: Forecaster) -> None:
    panel = make_panel(months, SMALL)
    scored = score_origins(forecaster, panel, split_origins(len(panel.months), SMALL).judged)
    crps = scored[scored["horizon"] == 1].groupby("forecaster")["crps"].mean()
    assert crps["baseline"] < 0.97 * crps["persistence"]


def test_a_random_walk_holds_no_skill_and_the_gate_serves_the_baseline() -> None:
    walk = simulate_months()
    panel = make_panel(walk, SMALL)
    split = split_origins(len(panel.months), SMALL)
    scored = score_origins(train(panel, split, SMALL), panel, split.judged)
    crps = scored[scored["horizon"] == 1].groupby("forecaster")["crps"].mean()
    assert crps["baseline"] / crps["persistence"] == pytest.approx(1.0, abs=0.03)
    assert crps["hybrid"] / crps["baseline"] == pytest.approx(1.0, abs=0.03)
    assert evaluate(scored, SMALL).served == "baseline"


def test_a_network_that_saves_too_little_is_not_used(months: pd.DataFrame) -> None:
    """Asked to save everything, no network is used, and the hybrid is the baseline."""
    demanding = fit(months, replace(SMALL, smallest_gain=1.0))
    assert demanding.trained["epochs"].tolist() == [0]
    panel = make_panel(months, SMALL)
    rows = demanding.forecast(panel, panel.months[-1]).set_index("forecaster")
    np.testing.assert_allclose(rows.loc["hybrid", QUANTILES], rows.loc["baseline", QUANTILES], rtol=1e-6)


def test_config_survives_json_and_refuses_names_it_does_not_know() -> None:
    assert ForecasterConfig.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(ValueError, match="Unknown choice unit"):
        ForecasterConfig.from_dict({"unit": 3})


def test_fine_tune_goes_on_from_the_given_weights(months: pd.DataFrame, forecaster: Forecaster) -> None:
    """A year of new months: the traditional part is the one a new training fits, the networks stay near the old."""
    config = SMALL
    panel = make_panel(months, config)
    past = panel.until(panel.months[-13])
    old = train(past, split_origins(len(past.months), config), config)
    split = split_origins(len(panel.months), config)
    tuned = fine_tune(old, panel, split)
    np.testing.assert_array_equal(tuned.baseline.beta, forecaster.baseline.beta)
    np.testing.assert_array_equal(tuned.input_mean, old.input_mean)
    for before, after in zip(old.networks[0], tuned.networks[0], strict=True):
        # Two passes of one step at 2e-4 with Adam move no weight by much more than 4e-4.
        assert np.abs(after - before).max() < 2e-3
    assert to_bytes(fine_tune(old, panel, split)) == to_bytes(tuned)


def test_fine_tune_keeps_networks_that_no_pass_improves(months: pd.DataFrame, forecaster: Forecaster) -> None:
    panel = make_panel(months, SMALL)
    still = replace(forecaster, config=replace(SMALL, fine_tune_rate=0.0))
    tuned = fine_tune(still, panel, split_origins(len(panel.months), SMALL))
    assert tuned.trained["epochs"].tolist() == [0]
    assert tuned.trained["validation_loss"].item() == pytest.approx(
        forecaster.trained["validation_loss"].item(), rel=1e-3
    )
    for before, after in zip(forecaster.networks[0], tuned.networks[0], strict=True):
        np.testing.assert_array_equal(before, after)
