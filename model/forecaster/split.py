"""Which origins are trained on, validated on and judged on, with a gap of the longest horizon between them."""

from dataclasses import dataclass

from model.config import ForecasterConfig


@dataclass(frozen=True)
class Split:
    """Positions of origins on the time axis, later in time from field to field.

    The targets of one part end no later than the first origin of the next, so that nothing a part is measured by
    was known in the part before it.
    """

    train: range
    """Origins the network learns from."""
    validation: range
    """Origins that stop the training."""
    judged: range
    """Origins of the gate, never seen in training; empty when none are held back."""

    @property
    def fitted(self) -> range:
        """Origins of the traditional part: everything before the judged ones."""
        return range(self.train.start, self.validation.stop)


def split_origins(count: int, config: ForecasterConfig, *, has_holdout: bool = True) -> Split:
    """Cut `count` months into train, gap, validation, gap and judged; short panels get shorter parts.

    Args:
        count: T, months of the panel.
        config: lengths of the parts. Validation takes a sixth of the panel at most, the judged months an eighth.
        has_holdout: whether months are held back for the gate.

    Returns:
        The parts. Judged origins go on to the last with a target at one month, so that the longest horizon has
        `config.holdout_months` of them and shorter ones a few more.

    Raises:
        ValueError: if there are fewer than `config.fewest_months` months.
    """
    if count < config.fewest_months:
        raise ValueError(
            f"Training needs at least {config.fewest_months} months of history: received {count}. "
            "Ask for an earlier start of the data or serve an existing version."
        )
    gap = config.longest_horizon
    first_holdout = count - gap - min(config.holdout_months, count // 8) if has_holdout else count - 1
    after_validation = first_holdout - gap + 1
    first_validation = after_validation - min(config.validation_months, count // 6)
    return Split(
        train=range(config.burn_in_months, first_validation - gap + 1),
        validation=range(first_validation, after_validation),
        judged=range(first_holdout, count - 1 if has_holdout else first_holdout),
    )
