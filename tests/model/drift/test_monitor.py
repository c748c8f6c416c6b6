"""Tests of model.drift.monitor, by hand and on a simulated market."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model.config import DriftConfig
from model.drift.expectation import arrange, expected_values, target_months
from model.drift.measures import measure_forecasts, measure_months
from model.drift.monitor import Calibration, Check, accumulate, calibrate, estimate_expected, excursion, status_of
from model.evaluation.backtest import known_returns
from model.forecaster.features import Panel
from model.forecaster.forecaster import Forecaster
from tests.support.drift import HORIZONS, QUANTILES

LOSS = Check(1, "loss")


def calibration_of(threshold: float, allowance: float = 0.5, check: Check = LOSS) -> Calibration:
    return Calibration((check,), np.array([allowance]), np.array([threshold]), np.zeros((60, 10, 1)))


def sums_of(deviations: list[float], calibration: Calibration) -> tuple[list[float], list[bool]]:
    sums, is_alarm = accumulate(np.array(deviations)[:, None], calibration)
    return sums[:, 0].tolist(), is_alarm[:, 0].tolist()


def test_accumulate_adds_the_excess_over_the_allowance() -> None:
    sums, is_alarm = sums_of([1.5, np.nan, 1.0, -0.5, 0.0, -9.0], calibration_of(10.0))
    assert sums == [1.0, 1.0, 1.5, 0.5, 0.0, 0.0]
    assert not any(is_alarm)


def test_accumulate_keeps_an_alarm_until_a_quarter_of_the_threshold() -> None:
    """The sum stops at the threshold, so that the end of an alarm does not depend on its severity."""
    sums, is_alarm = sums_of([2.5, 2.5, 2.5, 2.5, -0.5, -0.5, -0.5, 1.0], calibration_of(4.0))
    assert sums == [2.0, 4.0, 4.0, 4.0, 3.0, 2.0, 1.0, 1.5]
    assert is_alarm == [False, True, True, True, True, True, False, False]
    assert DriftConfig().recovered * 4.0 == 1.0


def test_accumulate_bounds_the_effect_of_one_month_unless_sudden() -> None:
    """At horizon 1 the shift is twice the allowance, and three shifts are sudden."""
    assert sums_of([2.9], calibration_of(2.0)) == ([1.0], [False])
    assert sums_of([3.0], calibration_of(2.0)) == ([2.0], [True])
    # At horizon 3 a month of the market is in three values, so the step is smaller.
    sums, is_alarm = sums_of([50.0, 50.0, 50.0, 50.0], calibration_of(2.0, check=Check(3, "loss")))
    assert (sums, is_alarm) == ([0.5, 1.0, 1.5, 2.0], [False, False, False, True])


def test_estimate_expected_adds_a_standard_error_to_the_worse_mean() -> None:
    reference = np.array([[0.0], [0.0], [0.0], [0.0], [0.1], [0.3]])
    is_holdout = np.array([False] * 4 + [True] * 2)
    deviation = reference.std(ddof=1)
    for check, overlap in ((LOSS, 1), (Check(12, "loss"), 12)):
        expected = estimate_expected([check], reference, is_holdout)
        assert expected.deviation[0] == pytest.approx(deviation)
        assert expected.mean[0] == pytest.approx(0.2 + deviation * (overlap / 2) ** 0.5)
        better = estimate_expected([check], reference, ~is_holdout)
        assert better.mean[0] == pytest.approx(0.4 / 6 + deviation * (overlap / 4) ** 0.5)


def test_estimate_expected_against_the_baseline_is_at_least_zero() -> None:
    check = Check(1, "loss_against_baseline")
    expected = estimate_expected([check], np.full((40, 1), -0.03), np.zeros(40, dtype=bool))
    assert expected.mean[0] == 0.0
    assert expected.deviation[0] == 0.005  # the lower bound


@pytest.mark.parametrize("count", [48, 120])
def test_calibrate_allows_one_false_alarm_in_five_years_jointly(count: int) -> None:
    """Overlapping forecasts, correlated errors, and months after the calibration."""
    checks = [Check(h, measure) for h in (1, 3) for measure in ("loss", "calibration")]
    rng = np.random.default_rng(5)
    starts = 0
    for _ in range(60):
        common = rng.normal(size=(count + 120, 1)) + rng.normal(size=(count + 120, 4))
        common[2:, 2:] = common[2:, 2:] + common[1:-1, 2:] + common[:-2, 2:]
        values = 0.02 * common
        reference, is_holdout = values[:count], np.arange(count) >= count - 36
        expected = estimate_expected(checks, reference, is_holdout)
        _, is_alarm = accumulate(
            (values[count:] - expected.mean) / expected.deviation, calibrate(checks, reference, is_holdout)
        )
        starts += int((np.diff(is_alarm.any(axis=1).astype(int), prepend=0) == 1).sum())
    assert starts / 60 / 2 < 1.0


def test_calibrate_raises_thresholds_for_rarer_false_alarms() -> None:
    values = np.random.default_rng(6).normal(0.0, 0.05, (240, 1))
    first, second = (calibrate([LOSS], values, np.zeros(240, dtype=bool)).threshold[0] for _ in range(2))
    assert first == second
    config = replace(DriftConfig(), months_between_false_alarms=240)
    rare = calibrate([LOSS], values, np.zeros(240, dtype=bool), config)
    assert rare.threshold[0] > first
    with pytest.raises(ValueError, match="at least 36 months; received 35"):
        calibrate([LOSS], values[:35], np.zeros(35, dtype=bool))


def test_p_value_is_the_share_of_paths_with_a_sum_as_high() -> None:
    in_control = np.sort(np.arange(20.0).reshape(2, 10, 1), axis=1)  # 0 … 9 after one month, 10 … 19 after two
    calibration = replace(calibration_of(50.0), in_control=in_control)
    assert calibration.p_value(0, 7.0, 1) == pytest.approx(4 / 11)  # 7, 8, 9 and the sum itself
    assert calibration.p_value(0, 7.0, 2) == 1.0
    assert calibration.p_value(0, 15.0, 99) == pytest.approx(6 / 11)  # as after the last calibrated month
    assert calibration.p_value(0, 0.0, 1) == 1.0


def test_status_of_and_excursion_by_hand() -> None:
    assert [status_of(t, 4.0, is_alarm=a, months=9) for t, a in ((2.0, False), (2.1, False), (1.5, True))] == [
        "ok",
        "warning",
        "alarm",
    ]
    assert status_of(4.0, 4.0, is_alarm=True, months=DriftConfig().fewest_months - 1) == "not_enough_data"
    assert [excursion(np.array(sums)) for sums in ([0.0, 1.0, 2.0], [1.0, 0.0], [1.0, 2.0])] == [2, 0, 2]


def alarms(market: dict[str, Any], forecasts: pd.DataFrame, served: str = "baseline") -> list[str]:
    """Return the measures that raise an alarm."""
    checks, values, is_holdout = arrange(market["expectation"], served, market["holdout_start"])
    months = measure_months(measure_forecasts(forecasts, market["reference_forecast"]))
    own = months[months["forecaster"] == served].merge(
        expected_values(market["expectation"], market["holdout_start"]), on=["forecaster", "horizon", "measure"]
    )
    own = own.assign(target_month=target_months(own), z=(own["value"] - own["expected"]) / own["deviation"])
    wide = own.pivot(index="target_month", columns=["horizon", "measure"], values="z")
    _, is_alarm = accumulate(
        wide.reindex(columns=pd.MultiIndex.from_tuples(checks)).to_numpy(), calibrate(checks, values, is_holdout)
    )
    return sorted({check.measure for check, own in zip(checks, is_alarm.T, strict=True) if own.any()})


def forecast_live(market: dict[str, Any], forecaster: Forecaster, panel: Panel) -> pd.DataFrame:
    origins = list(range(199, 260))
    known = known_returns(market["panel"], origins).rename(columns={"log_return": "actual_log_return"})
    forecasts = forecaster.forecast_many(panel, list(panel.months[origins]))
    return forecasts[forecasts["horizon"].isin(HORIZONS)].merge(known, on=["symbol", "origin_month", "horizon"])


def test_sound_model_raises_no_alarm_in_a_crisis(market: dict[str, Any]) -> None:
    forecasts = forecast_live(market, market["forecaster"], market["panel"])
    moves = forecasts[forecasts["horizon"] == 1].groupby("origin_month")["actual_log_return"].std()
    assert moves.iloc[15:21].mean() > 2 * moves.iloc[:15].mean()
    assert alarms(market, forecasts) == []


def test_halved_scale_raises_an_alarm(market: dict[str, Any]) -> None:
    sound = forecast_live(market, market["forecaster"], market["panel"])
    halved = sound.assign(**{name: sound["q50"] + (sound[name] - sound["q50"]) / 2 for name in QUANTILES})
    assert alarms(market, halved) == ["calibration", "loss"]


def test_old_features_raise_an_alarm(market: dict[str, Any]) -> None:
    panel: Panel = market["panel"]
    old = {name: np.roll(getattr(panel, name), 1, axis=1) for name in ("sigma", "x", "inputs")}
    assert "staleness" in alarms(market, forecast_live(market, market["forecaster"], replace(panel, **old)))


def test_noise_on_the_weights_raises_an_alarm(market: dict[str, Any]) -> None:
    rng = np.random.default_rng(4)
    noised = tuple(
        tuple((each + rng.standard_normal(each.shape)).astype(np.float32) for each in network)
        for network in market["forecaster"].networks
    )
    forecasts = forecast_live(market, replace(market["forecaster"], networks=noised), market["panel"])
    assert "loss_against_baseline" in alarms(market, forecasts, served="hybrid")
