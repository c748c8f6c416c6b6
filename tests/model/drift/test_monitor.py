"""The watch for drift: its parts against loops and values worked by hand, and what it sees in a market made up."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from model import quantile_names
from model.drift.expectation import arrange, expected_values, make_expectation, target_months
from model.drift.inputs import check_inputs
from model.drift.measures import (
    control_variate,
    dispersion,
    log_ratio,
    measure_forecasts,
    measure_months,
    probability_transform,
    staleness,
)
from model.drift.monitor import (
    FEWEST_EXPECTATION_MONTHS,
    FEWEST_MONTHS,
    RECOVERED,
    Calibration,
    Check,
    accumulate,
    calibrate,
    estimate_expected,
    excursion,
    status_of,
)
from model.drift.reference_forecast import BURN_IN_MONTHS, ReferenceForecast, make_reference_forecast
from model.evaluation.backtest import known_returns
from model.forecaster.features import Panel, make_panel
from model.forecaster.forecaster import Forecaster, train
from model.forecaster.split import split_origins
from tests.support.simulated import SMALL, simulate_months

HORIZONS = (1, 3)
LEVELS = SMALL.quantile_levels
QUANTILES = quantile_names(LEVELS)
LOSS = Check(1, "loss")


def yardstick_of(months: pd.DataFrame, horizons: tuple[int, ...] = HORIZONS) -> ReferenceForecast:
    return make_reference_forecast(months, horizons=horizons, levels=LEVELS)


# The reference_forecast


def test_yardstick_is_its_formula_worked_by_a_loop(months: pd.DataFrame) -> None:
    """Pooled quantiles are read from a grid of two hundredths, and lie between the values next to them."""
    reference_forecast, horizon, origin = yardstick_of(months), 3, pd.Timestamp("2000-05-01")
    last = months[months["month"] <= origin].dropna(subset="log_return").sort_values("month")
    units: dict[str, list[float]] = {}
    standard: list[tuple[float, float]] = []  # value, weight
    by_origin: dict[pd.Timestamp, list[float]] = {}
    for symbol, own in last.groupby("symbol"):
        volatility, returns, when = np.sqrt(own["realised_variance"]).tolist(), own["log_return"].tolist(), own["month"]
        units[str(symbol)] = []
        for t in range(len(own)):
            weights = [0.5 ** ((t - s) / 4.0) for s in range(t + 1)]
            fast = sum(w * v for w, v in zip(weights, volatility[: t + 1], strict=True)) / sum(weights)
            own_mean = sum(volatility[: t + 1]) / (t + 1)
            share = 0.15 * horizon**0.5
            units[str(symbol)].append(fast ** (1 - share) * own_mean**share * horizon**0.5)
            if t + 1 >= BURN_IN_MONTHS and t + horizon < len(own):
                value = sum(returns[t + 1 : t + horizon + 1]) / units[str(symbol)][t]
                by_origin.setdefault(when.iloc[t], []).append(value)
    for values in by_origin.values():
        standard += [(value, 1 / len(values)) for value in values]
    standard.sort()
    share = np.cumsum([weight for _, weight in standard]) / sum(weight for _, weight in standard)
    place = np.searchsorted(share, LEVELS)
    below, above = (np.array([standard[at + step][0] for at in place]) for step in (-1, 1))

    symbol, month = reference_forecast.positions(pd.Series(["S03"]), pd.Series([origin]))
    found = reference_forecast.quantiles(symbol, month, horizon)[0] / units["S03"][-1]
    assert ((below - 0.02 <= found) & (found <= above + 0.02)).all()
    assert (above - below).max() < 0.2


def test_yardstick_does_not_know_what_comes_later(months: pd.DataFrame) -> None:
    cut = pd.Timestamp("2005-01-01")
    changed = months.assign(log_return=months["log_return"].where(months["month"] <= cut, 0.5))
    for frame in (months[months["month"] <= cut], changed):
        symbol, month = yardstick_of(frame).positions(pd.Series(["S00", "S05"]), pd.Series([cut, cut]))
        np.testing.assert_array_equal(
            yardstick_of(frame).quantiles(symbol, month, 3), yardstick_of(months).quantiles(symbol, month, 3)
        )


def test_yardstick_has_no_forecast_for_what_it_does_not_know(months: pd.DataFrame) -> None:
    reference_forecast = yardstick_of(months)
    symbol, month = reference_forecast.positions(
        pd.Series(["S00", "gone", "S00"]), pd.Series(pd.to_datetime(["2005-01-01", "2005-01-01", "1980-01-01"]))
    )
    is_there = np.isfinite(reference_forecast.quantiles(symbol, month, 1)).all(axis=1)
    assert is_there.tolist() == [True, False, False]


# Evidence


def test_probability_transform_is_linear_between_quantiles_and_ends_at_nought_and_one() -> None:
    levels = [0.1, 0.5, 0.9]
    quantiles = np.tile([-2.0, 0.0, 1.0], (7, 1))
    actual = np.array([-2.0, 0.0, 1.0, -1.0, -2.25, 1.25, 9.0])
    # Beyond the outer quantiles: a quarter of the neighbouring distance is 0.1, and so -2.5 and 1.25 are the ends.
    expected = [0.1, 0.5, 0.9, 0.3, 0.05, 1.0, 1.0]
    np.testing.assert_allclose(probability_transform(actual, quantiles, levels), expected)


def test_staleness_is_one_minus_the_slope_times_the_deviation_of_the_news() -> None:
    rng = np.random.default_rng(1)
    news = rng.normal(0.1, 0.2, 50)
    for share in (1.0, 0.3, 0.0):
        lag = 0.7 + share * news + rng.normal(0.0, 0.05, 50)
        slope = np.polyfit(news, lag, 1)[0]
        found = staleness(50, lag.mean(), news.mean(), (news**2).mean(), (news * lag).mean())
        assert found == pytest.approx((1 - slope) * news.std())
    assert np.isnan(staleness(4, 0.0, 0.0, 1.0, 1.0))


def test_luck_is_worth_nothing_when_the_month_is_as_expected() -> None:
    assert control_variate(width=0.3, surprise=1 / 3, shift=0.4, direction=0.5) == 0.0
    # A wild and falling month: the wider and lower forecast wins, and what it won is given back.
    assert control_variate(width=0.1, surprise=1 / 3 + 0.2, shift=-0.05, direction=0.4) == pytest.approx(0.02 + 0.03)


def test_luck_takes_out_noise_and_leaves_the_cost_of_being_wrong() -> None:
    """Months that all symbols share: forecasts of twice the right spread lose as much on average with it as without."""
    rng = np.random.default_rng(2)
    market, own = rng.normal(size=(2000, 1)), rng.normal(size=(2000, 50))
    actual = np.sqrt(0.5) * (market + own)

    def score(spread: float) -> tuple[np.ndarray, np.ndarray]:
        z = actual / spread
        return spread * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)), norm.cdf(z)

    (theirs, pit), (wide, _) = score(1.0), score(1.3)
    raw = log_ratio(wide.mean(axis=1), theirs.mean(axis=1))
    added = control_variate(
        width=np.log(1.3), surprise=dispersion(pit).mean(axis=1), shift=0.0, direction=pit.mean(axis=1)
    )
    assert (raw + added).mean() == pytest.approx(raw.mean(), abs=0.005)
    assert (raw + added).std() < 0.6 * raw.std()


def test_weigh_months_agrees_with_plain_means(months: pd.DataFrame) -> None:
    reference_forecast = yardstick_of(months)
    panel = make_panel(months, SMALL)
    rows = made_up_forecasts(panel, [200, 201], np.random.default_rng(3))
    weighed = measure_forecasts(rows, reference_forecast)
    found = measure_months(weighed).set_index(["origin_month", "horizon", "forecaster", "measure"])["value"]
    origin = panel.months[201]
    both = {
        name: weighed[(weighed["origin_month"] == origin) & (weighed["horizon"] == 3) & (weighed["forecaster"] == name)]
        for name in ("baseline", "hybrid")
    }
    own = both["hybrid"]
    surprise = np.mean((2 * own["yardstick_pit"] - 1) ** 2)
    expected: dict[str, float] = {
        "loss": np.log(own["crps"].mean() / own["reference_crps"].mean())
        + own["width"].mean() * (surprise - 1 / 3)
        + 3 * own["shift"].mean() * (2 * own["yardstick_pit"].mean() - 1),
        "loss_against_baseline": np.log(own["crps"].mean() / both["baseline"]["crps"].mean()),
        "calibration": np.mean((2 * own["pit"] - 1) ** 2) - surprise,
        "staleness": (1 - np.polyfit(own["news"], own["lag"], 1)[0]) * own["news"].std(ddof=0),
        "coverage_80": own["is_covered_80"].mean(),
        "coverage_95": own["is_covered_95"].mean(),
        "bias": own["pit"].mean() - 0.5,
    }
    assert found.loc[origin, 3, "hybrid"].to_dict() == pytest.approx(expected)
    assert "loss_against_baseline" not in found.loc[origin, 3, "baseline"].index


def made_up_forecasts(panel: Panel, origins: list[int], rng: np.random.Generator) -> pd.DataFrame:
    """Gaussian quantiles of any spread, by two forecasters."""
    known = known_returns(panel, origins)
    known = known[known["horizon"].isin(HORIZONS)].rename(columns={"log_return": "actual_log_return"})
    parts = []
    for name in ("baseline", "hybrid"):
        spread = np.exp(rng.normal(-2.5, 0.3, len(known)))
        values = rng.normal(0.0, 0.01, len(known))[:, None] + spread[:, None] * norm.ppf(LEVELS)
        parts.append(known.assign(forecaster=name, **dict(zip(QUANTILES, values.T, strict=True))))
    return pd.concat(parts, ignore_index=True)


# The watch


def calibration_of(threshold: float, allowance: float = 0.5, check: Check = LOSS) -> Calibration:
    return Calibration((check,), np.array([allowance]), np.array([threshold]), np.zeros((60, 10, 1)))


def sums_of(surprises: list[float], calibration: Calibration) -> tuple[list[float], list[bool]]:
    sums, is_alarm = accumulate(np.array(surprises)[:, None], calibration)
    return sums[:, 0].tolist(), is_alarm[:, 0].tolist()


def test_add_up_adds_what_is_beyond_the_allowance() -> None:
    sums, is_alarm = sums_of([1.5, np.nan, 1.0, -0.5, 0.0, -9.0], calibration_of(10.0))
    assert sums == [1.0, 1.0, 1.5, 0.5, 0.0, 0.0]
    assert not any(is_alarm)


def test_add_up_keeps_an_alarm_until_a_quarter_of_the_threshold() -> None:
    """The sum stops at the threshold, so that the way back does not depend on how bad it was."""
    sums, is_alarm = sums_of([2.5, 2.5, 2.5, 2.5, -0.5, -0.5, -0.5, 1.0], calibration_of(4.0))
    assert sums == [2.0, 4.0, 4.0, 4.0, 3.0, 2.0, 1.0, 1.5]
    assert is_alarm == [False, True, True, True, True, True, False, False]
    assert RECOVERED * 4.0 == 1.0


def test_add_up_lets_no_month_alarm_alone_unless_it_is_sudden() -> None:
    """One month ahead, a shift is twice the allowance, and three of them are sudden."""
    assert sums_of([2.9], calibration_of(2.0)) == ([1.0], [False])
    assert sums_of([3.0], calibration_of(2.0)) == ([2.0], [True])
    # The longer the overlap, the smaller the step: three months ahead a month of the market is in three of them.
    sums, is_alarm = sums_of([50.0, 50.0, 50.0, 50.0], calibration_of(2.0, check=Check(3, "loss")))
    assert (sums, is_alarm) == ([0.5, 1.0, 1.5, 2.0], [False, False, False, True])


def test_find_usual_takes_the_worse_mean_and_a_standard_error() -> None:
    reference = np.array([[0.0], [0.0], [0.0], [0.0], [0.1], [0.3]])
    judged = np.array([False] * 4 + [True] * 2)
    deviation = reference.std(ddof=1)
    for check, overlap in ((LOSS, 1), (Check(12, "loss"), 12)):
        found = estimate_expected([check], reference, judged)
        assert found.deviation[0] == pytest.approx(deviation)
        assert found.mean[0] == pytest.approx(0.2 + deviation * (overlap / 2) ** 0.5)
        better = estimate_expected([check], reference, ~judged)
        assert better.mean[0] == pytest.approx(0.4 / 6 + deviation * (overlap / 4) ** 0.5)


def test_find_usual_expects_no_more_of_a_duel_than_a_draw() -> None:
    found = estimate_expected([Check(1, "loss_against_baseline")], np.full((40, 1), -0.03), np.zeros(40, dtype=bool))
    assert found.mean[0] == 0.0
    assert found.deviation[0] == 0.005  # noise that is assumed in any case


@pytest.mark.parametrize("count", [48, 120])
def test_calibrate_gives_at_most_one_false_alarm_in_five_years_for_all_checks_together(count: int) -> None:
    """Forecasts that overlap, errors that go together, and months that the calibration has not seen."""
    checks = [Check(h, measure) for h in (1, 3) for measure in ("loss", "calibration")]
    rng = np.random.default_rng(5)
    starts = 0
    for _ in range(60):
        common = rng.normal(size=(count + 120, 1)) + rng.normal(size=(count + 120, 4))
        common[2:, 2:] = common[2:, 2:] + common[1:-1, 2:] + common[:-2, 2:]
        values = 0.02 * common
        reference, judged = values[:count], np.arange(count) >= count - 36
        expected = estimate_expected(checks, reference, judged)
        _, is_alarm = accumulate(
            (values[count:] - expected.mean) / expected.deviation, calibrate(checks, reference, judged)
        )
        starts += int((np.diff(is_alarm.any(axis=1).astype(int), prepend=0) == 1).sum())
    assert starts / 60 / 2 < 1.0


def test_calibrate_asks_more_the_rarer_alarms_must_be() -> None:
    values = np.random.default_rng(6).normal(0.0, 0.05, (240, 1))
    expected, again = (calibrate([LOSS], values, np.zeros(240, dtype=bool)).threshold[0] for _ in range(2))
    assert expected == again  # the same months, the same threshold
    rare = calibrate([LOSS], values, np.zeros(240, dtype=bool), months_between=240)
    assert rare.threshold[0] > expected
    with pytest.raises(ValueError, match=f"{FEWEST_EXPECTATION_MONTHS} months or more: received 35"):
        calibrate([LOSS], values[:35], np.zeros(35, dtype=bool))


def test_p_value_is_the_share_of_paths_that_are_as_high() -> None:
    chance = np.sort(np.arange(20.0).reshape(2, 10, 1), axis=1)  # 0 … 9 after one month, 10 … 19 after two
    calibration = replace(calibration_of(50.0), chance=chance)
    assert calibration.p_value(0, 7.0, 1) == pytest.approx(4 / 11)  # 7, 8 and 9, and this one
    assert calibration.p_value(0, 7.0, 2) == 1.0
    assert calibration.p_value(0, 15.0, 99) == pytest.approx(6 / 11)  # as after the last
    assert calibration.p_value(0, 0.0, 1) == 1.0


def test_status_and_excursion() -> None:
    assert [status_of(t, 4.0, is_alarm=a, months=9) for t, a in ((2.0, False), (2.1, False), (1.5, True))] == [
        "ok",
        "warning",
        "alarm",
    ]
    assert status_of(4.0, 4.0, is_alarm=True, months=FEWEST_MONTHS - 1) == "not_enough_data"
    assert [excursion(np.array(sums)) for sums in ([0.0, 1.0, 2.0], [1.0, 0.0], [1.0, 2.0])] == [2, 0, 2]


# The reference


def reference_rows(count: int, **measures: float) -> pd.DataFrame:
    months = pd.date_range("2000-01-01", periods=count, freq="MS")
    rows = [
        {"origin_month": m, "horizon": h, "forecaster": "baseline", "measure": name, "symbols": 5, "value": value + k}
        for k, m in enumerate(months)
        for h in (1, 3)
        for name, value in measures.items()
    ]
    return pd.DataFrame(rows)


def test_arrange_lines_up_what_is_scored_in_the_same_month() -> None:
    rows = reference_rows(50, loss=0.0, calibration=1000.0, bias=5.0)
    gaps = rows.drop(rows[(rows["measure"] == "calibration") & (rows["value"] % 2 == 0)].index)
    checks, values, has_holdout = arrange(gaps, "baseline", date(2003, 1, 1))
    assert checks == [Check(1, "loss"), Check(3, "loss")]  # the other is known too seldom, and bias is not watched
    # Scored in 2000-04 first: one month ahead from the third month on, three ahead from the first.
    assert values[:2].tolist() == [[2.0, 0.0], [3.0, 1.0]]
    assert len(values) == 48
    assert has_holdout.sum() == 12  # 2003-04, the first for which all forecasts were made in judged months, to 2004-03
    assert arrange(gaps, "hybrid", date(2003, 1, 1))[0] == []


def test_usual_values_by_measure() -> None:
    found = expected_values(reference_rows(40, loss=0.0, bias=0.0), date(2003, 1, 1)).set_index(["horizon", "measure"])
    deviation = np.arange(40).std(ddof=1)
    assert found.loc[(1, "loss"), "expected"] == pytest.approx(37.5 + deviation * (1 / 4) ** 0.5)  # 2003: 36 … 39
    assert found.loc[(1, "bias"), "expected"] == pytest.approx(19.5)
    assert expected_values(reference_rows(FEWEST_EXPECTATION_MONTHS - 1, loss=0.0), date(2003, 1, 1)).empty


def test_target_months_go_over_the_year() -> None:
    rows = pd.DataFrame({"origin_month": pd.to_datetime(["2000-11-01", "2000-12-01"]), "horizon": [3, 12]})
    assert target_months(rows).tolist() == [pd.Timestamp("2001-02-01"), pd.Timestamp("2001-12-01")]


# Inputs


def test_check_inputs_compares_with_the_years_before() -> None:
    months = simulate_months(symbols=4, months=120, seed=9)
    newest = months["month"].max()
    calm = check_inputs(months, newest, 0.0).set_index("input")
    assert not calm["is_unusual"].any()
    is_newest = months["month"] == newest
    wild = months.assign(
        realised_variance=months["realised_variance"].where(~is_newest, 1.0),
        volume=months["volume"].where(~is_newest, 4e6),
    )
    found = check_inputs(wild, newest, 0.06).set_index("input")
    assert found["is_unusual"].all()
    assert found.loc["volatility", "value"] == pytest.approx(1.0)
    assert found.loc["volume", "value"] == pytest.approx(4.0)
    before = months[~is_newest].groupby("month")["realised_variance"].apply(lambda v: np.exp(np.log(v).mean() / 2))
    # A symbol's first month is there too: it has a variance.
    assert found.loc["volatility", "highest"] == pytest.approx(before.quantile(0.99))
    assert np.isnan(check_inputs(months[months["month"] < "1992-01-01"], pd.Timestamp("1991-12-01"), 0.0)["lowest"][0])


# All of it


CRISES = (40, 90, 140, 185, 215)
"""Months in which half a year begins that moves everything three times as far; the last is after the model's time."""


@pytest.fixture(scope="module")
def market() -> dict[str, Any]:
    """A market of calm years and crises, and a model that knew the first two thirds of it."""
    months = simulate_months(symbols=30, months=300, clustering=0.3, seed=11)
    times = pd.date_range(months["month"].min(), periods=300, freq="MS")
    is_wild = months["month"].isin([times[start + k] for start in CRISES for k in range(6)])
    months["log_return"] *= np.where(is_wild, 3.0, 1.0)
    months["realised_variance"] *= np.where(is_wild, 9.0, 1.0)
    panel = make_panel(months, SMALL)
    past = panel.until(times[199])
    split = split_origins(len(past.months), SMALL)
    forecaster = train(past, split, SMALL)
    reference_forecast = yardstick_of(months)
    return {
        "panel": panel,
        "forecaster": forecaster,
        "reference_forecast": reference_forecast,
        "reference": make_expectation(forecaster, past, reference_forecast, HORIZONS),
        "holdout_start": past.months[split.holdout.start].date(),
    }


def alarms(market: dict[str, Any], forecasts: pd.DataFrame, served: str = "baseline") -> list[str]:
    """Measures that went into alarm."""
    checks, values, has_holdout = arrange(market["reference"], served, market["holdout_start"])
    months = measure_months(measure_forecasts(forecasts, market["reference_forecast"]))
    own = months[months["forecaster"] == served].merge(
        expected_values(market["reference"], market["holdout_start"]), on=["forecaster", "horizon", "measure"]
    )
    own = own.assign(target_month=target_months(own), surprise=(own["value"] - own["expected"]) / own["deviation"])
    wide = own.pivot(index="target_month", columns=["horizon", "measure"], values="surprise")
    _, is_alarm = accumulate(
        wide.reindex(columns=pd.MultiIndex.from_tuples(checks)).to_numpy(), calibrate(checks, values, has_holdout)
    )
    return sorted({check.measure for check, own in zip(checks, is_alarm.T, strict=True) if own.any()})


def say(market: dict[str, Any], forecaster: Forecaster, panel: Panel) -> pd.DataFrame:
    origins = list(range(199, 260))
    known = known_returns(market["panel"], origins).rename(columns={"log_return": "actual_log_return"})
    said = forecaster.forecast_many(panel, list(panel.months[origins]))
    return said[said["horizon"].isin(HORIZONS)].merge(known, on=["symbol", "origin_month", "horizon"])


def test_make_reference_is_of_the_past_alone(market: dict[str, Any]) -> None:
    reference, panel = market["reference"], market["panel"]
    assert reference["origin_month"].max() == panel.months[198]
    assert set(reference["forecaster"]) == {"hybrid", "baseline"}
    # The reference_forecast has its first pooled quantiles a month after the model may be trained.
    assert len(reference["origin_month"].unique()) == 199 - SMALL.burn_in_months - 1


def test_a_sound_model_raises_no_alarm_in_a_crisis(market: dict[str, Any]) -> None:
    forecasts = say(market, market["forecaster"], market["panel"])
    moves = forecasts[forecasts["horizon"] == 1].groupby("origin_month")["actual_log_return"].std()
    assert moves.iloc[15:21].mean() > 2 * moves.iloc[:15].mean()
    assert alarms(market, forecasts) == []


def test_a_spread_of_half_raises_an_alarm(market: dict[str, Any]) -> None:
    sound = say(market, market["forecaster"], market["panel"])
    halved = sound.assign(**{name: sound["q50"] + (sound[name] - sound["q50"]) / 2 for name in QUANTILES})
    assert alarms(market, halved) == ["calibration", "loss"]


def test_features_a_month_old_raise_an_alarm(market: dict[str, Any]) -> None:
    panel: Panel = market["panel"]
    old = {name: np.roll(getattr(panel, name), 1, axis=1) for name in ("sigma", "x", "inputs")}
    assert "staleness" in alarms(market, say(market, market["forecaster"], replace(panel, **old)))


def test_noise_on_the_weights_raises_an_alarm(market: dict[str, Any]) -> None:
    rng = np.random.default_rng(4)
    noised = tuple(
        tuple((each + rng.standard_normal(each.shape)).astype(np.float32) for each in network)
        for network in market["forecaster"].networks
    )
    said = say(market, replace(market["forecaster"], networks=noised), market["panel"])
    assert "loss_against_baseline" in alarms(market, said, served="hybrid")
