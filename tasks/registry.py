"""Registry of models: stored versions read and verified, and new ones made ready for storage.

A version consists of the bytes of a model, their SHA-256 and the config. A version whose parts do not match, or whose
format is unknown, is refused by its number, and the version before it is used.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import pandas as pd

from model.evaluation.gate import Verdict
from model.forecaster.features import NETWORK_INPUTS, TERMS
from model.forecaster.forecaster import Forecaster
from model.forecaster.serialization import from_bytes, to_bytes
from sql.store import ModelVersion, MonthKey
from tasks.database import database_errors, get_store
from tasks.errors import DamagedModelError
from tasks.progress import log_line

_FINGERPRINTED = ("open", "high", "low", "close", "volume", "log_return", "realised_variance")


@dataclass(frozen=True)
class StoredModel:
    """Verified version with its forecaster."""

    version: ModelVersion = field(repr=False)
    forecaster: Forecaster = field(repr=False)

    @property
    def model_version_id(self) -> int:
        """Number of the stored version."""
        return _number(self.version)

    def age_months(self, month: date) -> int:
        """Compute the number of months from the origin month of its training run to `month`."""
        if self.version.trained_at_month is None:
            raise ValueError("`version` must come from the database; received one without the month of its run.")
        return int((pd.Period(month, "M") - pd.Period(self.version.trained_at_month, "M")).n)


@dataclass(frozen=True)
class Refusal:
    """Refused version, with the reason."""

    model_version_id: int
    reason: str
    """One sentence with the number of the version."""
    run_id: int | None
    """Run that trained the version."""
    stored_at: datetime | None


def find_champion(key: MonthKey) -> tuple[StoredModel | None, tuple[Refusal, ...]]:
    """Find the champion: the newest usable version of the universe with no data after the month.

    Returns:
        The model, None if no version is usable, and the newer versions that were refused, newest first.

    Raises:
        DatabaseUnavailableError: if Postgres does not respond.
    """
    refused: list[Refusal] = []
    while True:
        with database_errors():
            version = get_store().read_champion(key, refused=[refusal.model_version_id for refusal in refused])
        if version is None:
            return None, tuple(refused)
        try:
            return StoredModel(version, restore(version)), tuple(refused)
        except DamagedModelError as error:
            log_line("train", str(error))
            refused.append(Refusal(_number(version), str(error), version.run_id, version.created_at))


def restore(version: ModelVersion) -> Forecaster:
    """Restore the forecaster of a stored version, identical to the bit.

    Raises:
        DamagedModelError: if the bytes of the version differ from their SHA-256, are unreadable, or hold a model whose
            format, config or inputs do not match this program. The message has the number of the version.
    """
    name = f"Model {version.model_version_id}"
    found = hashlib.sha256(version.weights).hexdigest()
    if found != version.weights_sha256:
        raise DamagedModelError(
            f"{name} is damaged: the sha256 of its weights is {found[:12]}…, "
            f"and {version.weights_sha256[:12]}… is stored beside them."
        )
    try:
        forecaster = from_bytes(version.weights)
    except ValueError as error:
        raise DamagedModelError(f"{name} cannot be read by this program: {error}") from error
    if not isinstance(version.config, Mapping):
        raise DamagedModelError(f"{name} is damaged: the config stored beside its weights is no table of choices.")
    if differing := forecaster.config.differing_choices(version.config):
        raise DamagedModelError(
            f"{name} is of another program, or its config is damaged: {', '.join(differing)} is not what was stored."
        )
    if len(forecaster.input_mean) != len(NETWORK_INPUTS) or forecaster.baseline.beta.shape[1] != len(TERMS):
        raise DamagedModelError(
            f"{name} is of another program: it reads {len(forecaster.input_mean)} inputs and "
            f"{forecaster.baseline.beta.shape[1]} terms, and this program makes {len(NETWORK_INPUTS)} and {len(TERMS)}."
        )
    return forecaster


def make_version(
    forecaster: Forecaster,
    verdict: Verdict,
    *,
    kind: str,
    parent_id: int | None,
    trained_through: date,
    holdout_start: date,
    holdout_end: date,
    data_fingerprint: str,
) -> ModelVersion:
    """Make a new version, ready for storage.

    Args:
        forecaster: Forecaster with its weights and config.
        verdict: Verdict of the gate, with its numbers by horizon.
        kind: retrain or fine_tune.
        parent_id: Version that was fine-tuned; None for a retrained one.
        trained_through: Last target month used by training or early stopping.
        holdout_start: First origin month of the holdout.
        holdout_end: Last origin month of the holdout.
        data_fingerprint: Fingerprint of the training months, see `fingerprint_months`.
    """
    weights = to_bytes(forecaster)
    return ModelVersion(
        kind=kind,
        parent_id=parent_id,
        trained_through=trained_through,
        holdout_start=holdout_start,
        holdout_end=holdout_end,
        verdict=verdict.served,
        verdict_reason=verdict.reason,
        verdict_numbers=json.loads(verdict.numbers.to_json(orient="records")),
        weights=weights,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        seed=forecaster.config.seeds[0],
        config=forecaster.config.to_dict(),
        data_fingerprint=data_fingerprint,
    )


def weights_sha256(forecaster: Forecaster) -> str:
    """Compute the SHA-256 of a forecaster's stored bytes, hexadecimal."""
    return hashlib.sha256(to_bytes(forecaster)).hexdigest()


def fingerprint_months(months: pd.DataFrame) -> str:
    """Compute the SHA-256 of the final months' symbols, dates and values; the order of the rows does not matter.

    Args:
        months: Columns of `model.bars.months.build_months`.
    """
    final = months[months["is_final"].to_numpy(np.bool_)].sort_values(["symbol", "month"])
    digest = hashlib.sha256("\n".join(final["symbol"]).encode())
    digest.update(final["month"].to_numpy().astype("datetime64[M]").tobytes())
    for name in _FINGERPRINTED:
        values = final[name].to_numpy(np.float64, copy=True)
        values[np.isnan(values)] = np.nan  # one bit pattern: a computed NaN may have a sign
        digest.update(values.tobytes())
    return digest.hexdigest()


def _number(version: ModelVersion) -> int:
    if version.model_version_id is None:
        raise ValueError("`version` must come from the database; received one without a number.")
    return version.model_version_id
