"""Origins for training, validation and holdout, separated by gaps of the longest horizon."""

from dataclasses import dataclass

from model.config import ForecasterConfig


@dataclass(frozen=True)
class Split:
    """Positions of origins on the time axis, in the order of time.

    Targets of one part end at or before the first origin of the next, so that no part contains information from the
    outcomes of a later one.
    """

    train: range
    """Origins that networks are fitted to."""
    validation: range
    """Origins for early stopping."""
    holdout: range
    """Origins of the gate, which no model is fitted on; empty without a holdout."""

    @property
    def fitted(self) -> range:
        """Origins that the baseline is fitted to: all before the holdout."""
        return range(self.train.start, self.validation.stop)


def split_origins(count: int, config: ForecasterConfig, *, has_holdout: bool = True) -> Split:
    """Split `count` months into train, gap, validation, gap and holdout.

    Args:
        count: T, months of the panel.
        config: lengths of the parts. Validation has at most a sixth of the months, the holdout an eighth.
        has_holdout: whether months are held out for the gate.

    Returns:
        The parts. The holdout ends with the last origin that has a target at one month. The longest horizon has
        `config.holdout_months` of its origins, shorter horizons a few more.

    Raises:
        ValueError: if `count` is less than `config.fewest_months`.
    """
    if count < config.fewest_months:
        raise ValueError(
            f"Training needs at least {config.fewest_months} months of history: received {count}. "
            "Use an earlier start of the data or keep an existing model."
        )
    gap = config.longest_horizon
    first_holdout = count - gap - min(config.holdout_months, count // 8) if has_holdout else count - 1
    after_validation = first_holdout - gap + 1
    first_validation = after_validation - min(config.validation_months, count // 6)
    return Split(
        train=range(config.burn_in_months, first_validation - gap + 1),
        validation=range(first_validation, after_validation),
        holdout=range(first_holdout, count - 1 if has_holdout else first_holdout),
    )
