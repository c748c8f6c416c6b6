"""Every scientific choice in one place."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class ForecasterConfig:
    """The choices behind a forecaster; lengths of time in months unless said otherwise."""

    horizons: tuple[int, ...] = tuple(range(1, 13))
    """Months ahead, from 1 without a gap."""
    quantile_levels: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)

    volatility_half_life: float = 4.0
    """Half-life of sigma, the unit of everything: the EWMA of the months' realised volatilities. Of volatilities, not
    of variances, so that a crash does not weigh for years."""
    ratio_half_life: float = 60.0
    """Half-life of the returns and volatilities that the term `month_against_days` compares."""
    smallest_sigma: float = 0.005
    """Floor of sigma, log return a month: a price that stands still must not divide by zero."""
    sample_half_life_years: float = 10.0
    """Age at which a training month counts half."""
    ridge: float = 0.1
    """Shrinkage of the baseline's coefficients towards zero, in units of the standardised terms, and of its shape
    towards a Gaussian's."""
    ridge_rows: float = 10_000.0
    """A sample of so many symbol-months is shrunk by twice `ridge`, half of it by three times, and so on."""

    calibration_pull: float = 36.0
    """Months that the fitted sample's share of returns outside the 80 % interval counts as, beside those since."""

    units: int = 50
    """Width of the LSTM and of the GRU."""
    dropout: float = 0.2
    batch_symbols: int = 32
    """Symbols a step of the optimiser, about."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.2
    """AdamW's decay per unit of learning rate."""
    ema_momentum: float = 0.95
    """Share of the averaged weights kept at each step."""
    scale_shrinkage: float = 1.0
    """Factor on the network's correction of the log scale."""
    horizon_fading: float = 0.5
    """The network's corrections shrink with the horizon to this power."""
    location_shrinkage: float = 0.03
    """Factor on the network's correction of the centre, in units of sigma sqrt(h)."""
    epochs: int = 8
    """Most passes over the training months."""
    patience: int = 5
    """Passes without a better validation loss after which training stops."""
    smallest_gain: float = 2e-4
    """Share of the validation loss that a network must save to be used: less is no evidence, and does not last."""
    seeds: tuple[int, ...] = (1, 2)
    """One network each; their corrections are averaged."""
    fine_tune_months: int = 120
    """Newest training months that fine-tuning passes over."""
    fine_tune_warm_up: int = 60
    """Months before those that the networks read to find their state; fine-tuning skips what is earlier."""
    fine_tune_epochs: int = 2
    """Most passes of fine-tuning."""
    fine_tune_rate: float = 2e-4
    """Learning rate of fine-tuning."""

    validation_months: int = 48
    """Origins for early stopping."""
    holdout_months: int = 36
    """Origins held back for the gate, counted at the longest horizon."""
    gate_level: float = 0.05
    """Largest one-sided p at which the gate lets the hybrid be served. With three years of overlapping months the test
    rejects about twice as often as it says: this is one chance in ten."""
    burn_in_months: int = 12
    """Months a symbol must have before its first training origin."""
    fewest_months: int = 96
    """Shortest panel that is trained on."""

    @property
    def longest_horizon(self) -> int:
        """Months to the last target, and so the gap between two parts of time."""
        return max(self.horizons)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            ValueError: if a name is not a choice; the message lists those that are.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"Unknown choice {', '.join(unknown)}. Valid names are: {', '.join(sorted(known))}.")
        choices: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**choices)
