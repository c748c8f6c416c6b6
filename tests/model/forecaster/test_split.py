"""The parts of a split and the gaps between them."""

import pytest

from model.forecaster.split import split_origins
from tests.support.simulated import SMALL


def test_split_origins_keeps_the_longest_horizon_between_parts() -> None:
    split = split_origins(300, SMALL)
    gap = SMALL.longest_horizon
    assert split.train.stop - 1 + gap <= split.validation.start
    assert split.validation.stop - 1 + gap <= split.holdout.start
    assert split.holdout.stop == 299


def test_split_origins_by_hand() -> None:
    """300 months, longest horizon 12, 24 holdout and 24 validation months, burn-in of 12."""
    split = split_origins(300, SMALL)
    assert (split.train, split.validation, split.holdout) == (range(12, 218), range(229, 253), range(264, 299))
    assert split.fitted == range(12, 253)


def test_split_origins_without_holdout_validates_on_the_newest_months() -> None:
    split = split_origins(300, SMALL, has_holdout=False)
    assert not split.holdout
    assert split.validation == range(264, 288)  # the target of origin 287 ends with month 299


def test_split_origins_shortens_the_parts_of_a_short_panel() -> None:
    split = split_origins(96, SMALL)
    assert len(split.validation) == 96 // 6
    assert len(split.holdout) == 96 // 8 + 12 - 1


def test_split_origins_refuses_too_few_months() -> None:
    with pytest.raises(ValueError, match="at least 96 months of history: received 95"):
        split_origins(95, SMALL)
