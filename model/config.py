"""Every scientific choice of the project: the forecaster, its retraining, the drift monitor and the quality rules.

All classes are frozen and hashable. A `ForecasterConfig` is stored with every model and every run as JSON.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Self


@dataclass(frozen=True)
class DriftConfig:
    """Choices of the drift monitor (`model.drift`)."""

    months_between_false_alarms: int = 60
    """Mean time between two false alarms of a universe, over all its checks."""
    margin: float = 0.5
    """False alarms in that time for which the thresholds are calibrated. The rest of the one allowed false alarm is a
    reserve for changes of the market that the expectation's months do not show."""
    fewest_months: int = 6
    """Scored months below which the status of a check is `not_enough_data`."""
    fewest_expectation_months: int = 36
    """Months that an expectation is estimated from, at least."""
    sudden: float = 3.0
    """Excess over the expected value, in units of the measure's shift, at which a single month raises an alarm. Applies
    to horizon 1."""
    warned: float = 0.5
    """Share of the threshold above which a check warns."""
    recovered: float = 0.25
    """Share of the threshold at which an alarm ends."""
    smallest_threshold: float = 2.0
    """Lower bound of the thresholds, in deviations. It matters where an expectation has almost no noise."""
    block_months: int = 24
    """Length of the resampled blocks: twice the longest horizon, because errors of overlapping forecasts correlate."""
    paths: int = 1000
    """Resampled paths of a calibration."""
    shifts: tuple[tuple[str, float], ...] = (
        ("loss", 0.04879016416943204),
        ("loss_against_baseline", 0.01980262729617973),
        ("calibration", 0.08),
    )
    """Shift of each measure that the check is tuned to detect: log 1.05, 5 % more loss; log 1.02, 2 % more loss than
    the baseline; 80 % intervals that cover 70 %. Other measures have a shift of one deviation."""
    smallest_deviations: tuple[tuple[str, float], ...] = (
        ("loss", 0.005),
        ("loss_against_baseline", 0.005),
        ("calibration", 0.005),
        ("staleness", 0.002),
    )
    """Lower bound of each measure's deviation. It matters for a network that corrects nothing yet and so equals its
    baseline."""

    fewest_symbols: int = 5
    """Symbols of a month below which its staleness is not measured."""
    width_factor: float = 1.0
    """Coefficient of the control variate's term for the width of the forecast."""
    shift_factor: float = 3.0
    """Coefficient of the control variate's term for the location of the forecast."""

    half_life_months: float = 4.0
    """Half-life of the reference forecast's fast volatility."""
    long_run_weight: float = 0.15
    """Weight of the long-run volatility in the reference forecast at horizon 1. It grows with the square root of the
    horizon."""
    smallest_volatility: float = 0.005
    """Lower bound of the reference forecast's volatilities, log return a month, which keeps a constant price from
    dividing by zero."""
    burn_in_months: int = 12
    """Months of a symbol before its returns count in the pooled quantiles of the reference forecast."""

    longest_expectation_months: int = 240
    """Months that an expectation is estimated from, at most."""
    smallest_share: float = 0.5
    """Symbols of a month in the expectation, as a share of the newest month's, at least."""
    complete_share: float = 0.8
    """Share of the expectation's months that a check must have values for."""

    history_months: int = 120
    """Months that the newest inputs are compared with, at most."""
    fewest_history_months: int = 36
    """Months that the newest inputs are compared with, at least."""
    usual_range: tuple[float, float] = (0.01, 0.99)
    """Levels of the earlier months' quantiles between which an input is usual."""
    largest_missing_share: float = 0.05
    """Share of requested symbols without data above which a month is unusual."""


@dataclass(frozen=True)
class QualityConfig:
    """Choices of the quality rules for bars, actions and moves (`model.quality`).

    Sessions are trading days. Sigmas are robust standard deviations of a symbol's daily log returns.
    """

    sigma_sessions: int = 60
    """Sessions that sigma is measured on."""
    fewest_returns: int = 20
    """Earlier returns below which sigma includes later returns."""
    sigma_floor: float = 0.005
    """Lower bound of sigma, log return a day."""

    repeat_days: int = 4
    """Largest distance of a repeated dividend, calendar days. Weekly dividends are seven days apart."""
    repeat_tolerance: float = 0.10
    """Largest log ratio of a dividend to its repetition."""
    doubtful_yield: float = 0.05
    """Dividend, as a share of the price, from which the price must follow it."""
    large_yield: float = 0.5
    """Dividend, as a share of the price, that leaves a finding even if the price followed."""
    followed_share: float = 0.5
    """Share of the expected fall from which the price has followed a dividend. Of the recorded dividends above 5 % and
    six sigmas, prices moved by at most 0.35 for false ones (old dividends not adjusted for later splits) and by at
    least 0.67 for true ones."""
    dividend_sigmas: float = 6.0
    """Expected fall, in sigmas, from which an unfollowed dividend is implausible."""
    split_day_sigmas: float = 3.0
    """The same on the day of a split."""
    fewest_hundredfold: int = 2
    """Doubtful dividends of a symbol, alike and unfollowed, from which all of them are in hundredths."""
    usual_dividend: tuple[float, float] = (4e-4, 0.08)
    """Dividends, as a share of the price, that a division by 100 may leave."""
    ordinary_yield: float = 3.0
    """Largest ratio, either way, of an ordinary yield to the symbol's median yield."""

    small_contradiction: float = 0.04879016416943204
    """Largest contradiction within a bar that is repaired, in log terms: log 1.05. Recorded bars contradict themselves
    by 1 to 5 % if a tick is missing, and their close agrees with the neighbours."""
    unit_tolerance: float = 0.146128035678238
    """Largest distance of a ratio from a power of ten that counts as a change of unit: log10 1.4."""
    suspect_range: float = 30.0
    """Ratio of a bar's highest to its lowest price above which its units are checked. The largest recorded is 5."""
    stale_sessions: int = 10
    """Sessions of one constant price that are a stale run. 1.42 million recorded bars have 9, all of thinly traded
    symbols before 1988."""
    long_gap_sessions: int = 5
    """Missing sessions from which a gap is long."""
    silent_sessions: int = 5
    """Sessions without volume that leave a finding. One or two are usual for a thinly traded symbol."""
    unscheduled_symbols: int = 3
    """Symbols needed to infer from missing bars that a scheduled session did not take place."""
    partial_volume: tuple[tuple[int, float], ...] = ((10, 0.4), (3, 0.3), (1, 0.2))
    """Fewest symbols, and the share of usual volume below which a session is unfinished; the first pair that applies.
    Real downloads during trading had 0.34 (ten symbols) and 0.16 to 0.35 (one). False alarms in ten thousand days of
    1990 to 2018: 8 at 0.4 with ten symbols, 10 at 0.3 with three, 27 at 0.2 with one; nearly all between two
    holidays."""
    usual_sessions: int = 20
    """Sessions that usual volume is measured on."""

    fewest_shifted: int = 20
    """Bars from which a series is compared with the calendar as a whole."""
    shifted_share: float = 0.02
    """Share of bars on days without a session from which all dates may be off by a day. The clean 1,028 symbols have
    none; a shift over weekends has 20 %, one over holidays alone 3 %."""
    shifted_rest: float = 0.25
    """Largest remainder of that share after the correction of the dates: the holidays of another exchange are 4 %."""
    misread_share: float = 0.5
    """Share of contradictory bars from which the columns of a symbol were misread. Recorded symbols have 1 %."""
    fewest_misread: int = 10
    """Contradictory bars needed for that."""
    rejected_move: float = 1.5
    """Log return of a day from which an unexplained move rejects the symbol. None of the clean 128 symbols moved by
    more than 1.2."""
    event_volume: float = 3.0
    """Volume of the day over the usual one from which such a move is an event of the market. Crashes and take-overs
    have far more, an unrecorded reverse split has less than usual."""

    daily_jump: float = 0.4054651081081644
    """Smallest unexplained log return of a day that leaves a finding: log 1.5."""
    monthly_jump: float = 1.0986122886681098
    """The same of a month, and of the moves of an erratic symbol: log 3."""
    jump_sigmas: float = 10.0
    """Smallest unexplained return of a day in sigmas."""
    smallest_jump: float = 0.3364722366212129
    """Smallest log return that is compared with splits and units: log 1.4, below the smallest inferred split of 3:2 and
    its tolerance."""
    forward_ratios: tuple[float, ...] = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
    """Ratios of inferred splits. 4:3 and 5:4 are excluded: nearly all of the 253 recorded days beyond 25 % were bad
    news."""
    largest_reverse_ratio: int = 1000
    """Largest ratio of an inferred reverse split: every whole number occurs, so the prices of the day must leave one
    only."""
    reverse_ratio_sigmas: float = 3.0
    """Sigmas on both sides of the day's prices that must hold one whole number only: the market's own move. With 1, a
    reverse split of 31 was read as 32."""
    surest_reverse_ratio: int = 12
    """Ratio up to which the number nearest to the close is taken otherwise."""
    ratio_tolerance: float = 0.10
    """Largest log distance of a close from the exact ratio of a split. True moves near a ratio: STT 2009-01-20 is 0.20
    from 2:1, AMD 1992-06-18 is 0.07 and NFLX 2011-10-25 is 0.024 from 3:2."""
    narrow_tolerance: float = 0.02
    """The same for ratios between 1 and 2."""
    range_margin: float = 0.02
    """Allowance for open, high and low beyond the tolerance of the close."""
    fit_sigmas: float = 5.0
    """Largest distance of a close from the exact ratio in sigmas."""
    volume_sessions: int = 5
    """Sessions that the volume after a move is measured on."""
    volume_usual: int = 20
    """Sessions that the volume before a move is measured on."""
    volume_tolerance: float = 0.8
    """Largest log distance of the change in volume from a split's ratio, or from no change if the source restates
    volume but not prices. The fall of ED by 32 % on 1974-04-23 is 1.4 away."""
    quiet_sessions: int = 10
    """Sessions after a split that must be quiet."""
    quiet_sigmas: float = 4.0
    """Largest sigma of quiet sessions, in units of sigma before the move: 6.2 after the fall of ED, 1.2 to 3.9 after
    splits."""
    undone_share: float = 0.5
    """Share of a move that the five sessions before or after it may undo."""
    fewest_after: int = 3
    """Sessions after a move that are needed to infer a split."""
    sure_ratio: float = 4.0
    """Ratio of a split from which they are not needed."""
    near_sessions: int = 60
    """Largest distance of a recorded split that explains a move by its ratio."""
    stretch_sessions: int = 20
    """Longest stretch of bars that is off by the ratio of a split. Longer stretches are two missed splits."""
    settled_sessions: int = 20
    """Age of a change of unit from which the new unit is certain."""
    usual_unit_sessions: int = 250
    """Newest sessions whose most frequent unit is the usual one."""
    spike_rest: float = 0.1
    """Share of a spike that the next bar may keep."""
    spike_reach: float = 0.5
    """Share of a spike that every price of its bar must reach. A volatile day begins near the last close."""
    erratic_moves: int = 8
    """Moves beyond `monthly_jump` from which a symbol is erratic. Recorded: 3 at most, 6 and 129 for unusable ones."""
    erratic_each_way: int = 3
    """Of these, moves in each direction."""


@dataclass(frozen=True)
class ForecasterConfig:
    """Choices of a forecaster and of the month's run. Durations are in months unless the name has another unit."""

    horizons: tuple[int, ...] = tuple(range(1, 13))
    """Months ahead: 1, 2, ... without a gap."""
    quantile_levels: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)

    volatility_half_life: float = 4.0
    """Half-life of sigma, the EWMA of monthly realised volatilities. Volatilities rather than variances, because a
    crash would dominate an average of variances for years."""
    ratio_half_life: float = 60.0
    """Half-life of the returns and volatilities that the term `month_against_days` compares."""
    smallest_sigma: float = 0.005
    """Lower bound of sigma, log return a month, which keeps a constant price from dividing by zero."""
    sample_half_life_years: float = 10.0
    """Age at which a training month has half the weight of the newest."""
    ridge: float = 0.1
    """Ridge penalty of the baseline: on its coefficients, per standardised term, and on the difference of its
    standardised quantiles from a Gaussian's."""
    ridge_rows: float = 10_000.0
    """Training rows (symbol-months) at which the penalty is twice `ridge`; it is `ridge` (1 + `ridge_rows` / rows)."""

    market_half_weight_symbols: float = 1.0
    """Number of symbols at which the terms of the market's volatility have half of their size."""
    rhythm_quarters: int = 20
    """Quarters from which the quarter rhythm is estimated."""
    rhythm_pull: float = 4.0
    """Known quarters at which the quarter rhythm has half of its size."""
    rhythm_bound: float = 1.5
    """Largest log ratio of a month's volatility to sigma that counts for the rhythm."""
    location_market_weight: float = 0.25
    """Share of the location that is proportional to the market's volatility; the rest is constant. Neither form is
    better in all decades, and the share costs nothing on average over 1986-2015."""
    vintage_rows: float = 100_000.0
    """Training rows at which the penalty of a coefficient's distance from the vintage is twice `ridge`; it is `ridge`
    (1 + `vintage_rows` / rows)."""
    vintage_location_rows: float = 1_000.0
    """The same for the location, with penalty `vintage_location_rows` / rows."""
    uses_vintage: bool = True
    """Whether a fit is shrunk towards the newest coefficients of `model.pretrained` from before its holdout."""

    calibration_pull: float = 36.0
    """Weight, in months, of the training sample's miss rate in the calibration."""
    largest_market_scale: float = 1.5
    """Upper bound of the calibration's factor of the scale; its reciprocal is the lower bound."""

    half_weight_symbols: int = 10
    """Symbols of a month at which cross-sectional demeaning removes half of the market's move and turbulence."""

    units: int = 50
    """Width of the LSTM and of the GRU."""
    dropout: float = 0.2
    """Dropout rate after each recurrent layer."""
    batch_symbols: int = 32
    """Approximate number of symbols in a batch."""
    learning_rate: float = 1e-3
    """Learning rate of AdamW."""
    weight_decay: float = 0.2
    """Weight decay of AdamW, per unit of learning rate."""
    clip_norm: float = 1.0
    """Norm to which the gradient of each variable is clipped."""
    ema_momentum: float = 0.95
    """Share of the averaged weights that each step keeps."""
    scale_shrinkage: float = 1.0
    """Factor of the network's correction of the log scale."""
    horizon_fading: float = 0.5
    """Corrections are divided by the horizon to this power."""
    location_shrinkage: float = 0.03
    """Factor of the network's correction of the location, in units of the baseline's scale."""
    epochs: int = 8
    """Largest number of epochs of a training."""
    patience: int = 5
    """Epochs without a lower validation loss after which training stops."""
    smallest_gain: float = 2e-4
    """Smallest reduction of the validation loss, as a share, at which trained weights replace the initial ones. Smaller
    reductions are noise."""
    seeds: tuple[int, ...] = (1, 2)
    """One network per seed. Their corrections are averaged."""
    fine_tune_months: int = 120
    """Newest training months that fine-tuning is fitted to."""
    fine_tune_warm_up: int = 60
    """Earlier months that the networks read to reach their state. Fine-tuning reads no month before them."""
    fine_tune_epochs: int = 2
    """Largest number of epochs of a fine-tuning."""
    fine_tune_rate: float = 2e-4
    """Learning rate of fine-tuning."""

    validation_months: int = 48
    """Origins for early stopping."""
    holdout_months: int = 36
    """Origins that no model is fitted on, for the gate, counted at the longest horizon."""
    gate_level: float = 0.05
    """Largest one-sided p-value at which the gate serves the hybrid. With three years of overlapping months the test
    rejects about twice as often as its level, so this is a false positive rate of one in ten."""
    burn_in_months: int = 12
    """Months of a symbol before its first training origin."""
    fewest_months: int = 96
    """Shortest panel for training."""

    retrain_after_months: int = 12
    """Months since the last comparison with a new model after which one is trained from scratch. An open drift alarm
    makes it due at once."""
    fine_tune_after_months: int = 1
    """Age of the champion from which it is fine-tuned. Fine-tuning takes seconds, so each new month is used."""

    drift: DriftConfig = DriftConfig()
    """Choices of the drift monitor."""
    quality: QualityConfig = QualityConfig()
    """Choices of the quality rules."""

    @property
    def longest_horizon(self) -> int:
        """Months to the last target, which is the gap between two parts of a split."""
        return max(self.horizons)

    def to_dict(self) -> dict[str, Any]:
        """Return the choices as values that JSON can hold: lists in place of tuples, nested classes as dictionaries."""
        values: dict[str, Any] = _to_plain(asdict(self))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make the config of `to_dict`'s values.

        Missing choices take their defaults.

        Raises:
            ValueError: if a name is not a choice. The message lists the valid names.
        """
        config: Self = _from_plain(cls, values)
        return config

    def differing_choices(self, stored: Mapping[str, Any]) -> list[str]:
        """Return the choices that a stored config lacks or has with another value.

        A choice that is missing within a group of choices, such as the quality rules, has its default.

        Args:
            stored: config of `to_dict` as it was stored.

        Returns:
            Names of differing choices, and stored names that are not choices.
        """
        choices, defaults = self.to_dict(), type(self)().to_dict()
        names = {
            name: {**defaults[name], **value}
            if isinstance(defaults.get(name), dict) and isinstance(value, Mapping)
            else value
            for name, value in stored.items()
        }
        differing = [name for name, value in choices.items() if name not in names or names[name] != value]
        return [*differing, *sorted(set(names) - set(choices))]


def _to_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_plain(item) for name, item in value.items()}
    return [_to_plain(item) for item in value] if isinstance(value, tuple) else value


def _from_plain(cls: Any, values: Mapping[str, Any]) -> Any:
    nested = {field.name: type(field.default) for field in fields(cls) if is_dataclass(field.default)}
    known = {field.name for field in fields(cls)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"Unknown choice {', '.join(unknown)}. Valid names are: {', '.join(sorted(known))}.")
    return cls(**{name: _from_plain(nested[name], v) if name in nested else _tuples(v) for name, v in values.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
