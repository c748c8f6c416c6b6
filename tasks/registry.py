"""The registry of models: versions read from Postgres and verified, and new ones made ready to be stored.

A version is bytes and what they must be: their SHA-256, their config, and a format that this program knows. One that is
not all of it is refused by name, and the one before it is taken.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import pandas as pd

from model.evaluation.gate import Verdict
from model.forecaster.features import NETWORK_INPUTS, TERMS
from model.forecaster.forecaster import Forecaster
from model.forecaster.serialization import from_bytes, stored_format, to_bytes
from sql.store import ModelVersion, MonthKey
from tasks.database import database_errors, get_store
from tasks.errors import DamagedModelError
from tasks.progress import log_line

_FINGERPRINTED = ("open", "high", "low", "close", "volume", "log_return", "realised_variance")


@dataclass(frozen=True)
class StoredModel:
    """A version that is what it must be."""

    version: ModelVersion = field(repr=False)
    forecaster: Forecaster = field(repr=False)

    @property
    def model_version_id(self) -> int:
        """Number of the version."""
        return _number(self.version)

    def age_months(self, month: date) -> int:
        """Months since the one whose run trained it."""
        if self.version.trained_at_month is None:
            raise ValueError("`version` must come from the database: received one without the month of its run.")
        return int((pd.Period(month, "M") - pd.Period(self.version.trained_at_month, "M")).n)


@dataclass(frozen=True)
class Refusal:
    """A version that is not used, and why."""

    model_version_id: int
    reason: str
    """One sentence, which names the version."""
    run_id: int | None
    """Run that trained it."""
    stored_at: datetime | None


def find_champion(key: MonthKey) -> tuple[StoredModel | None, tuple[Refusal, ...]]:
    """The newest version of the universe that knew nothing after the month and can be used.

    Returns:
        The model, None when there is no good one, and the newer versions refused on the way, newest first.
    """
    refused: list[Refusal] = []
    while True:
        with database_errors():
            version = get_store().read_champion(key, refused=[each.model_version_id for each in refused])
        if version is None:
            return None, tuple(refused)
        try:
            return StoredModel(version, restore(version)), tuple(refused)
        except DamagedModelError as error:
            log_line("train", str(error))
            refused.append(Refusal(_number(version), str(error), version.run_id, version.created_at))


def restore(version: ModelVersion) -> Forecaster:
    """The forecaster of a stored version, bit for bit the one that was stored.

    Raises:
        DamagedModelError: naming the version, if its bytes are not those that were stored, cannot be read, or hold a
            model of a format, config or inputs that this program does not know.
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
    # Only a choice that the stored format did not have may take today's default.
    if differing := forecaster.config.differing_choices(version.config, stored_format(version.weights)):
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
    """A new version, as it will be stored.

    Args:
        forecaster: Its weights and config.
        verdict: Of the gate; the numbers by horizon are kept.
        kind: retrain or fine_tune.
        parent_id: Version it was fine-tuned from.
        trained_through: Last target month that training or early stopping saw.
        holdout_start: First origin month that it may be judged on.
        holdout_end: Last origin month that it was judged on.
        data_fingerprint: Of the months it was trained on, see `fingerprint`.
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
    """SHA-256 of the bytes that the forecaster is stored as, hexadecimal."""
    return hashlib.sha256(to_bytes(forecaster)).hexdigest()


def fingerprint(months: pd.DataFrame) -> str:
    """SHA-256 of the final months' symbols, dates and values, whatever the order of the rows.

    Args:
        months: Columns of `model.bars.months.build_months`.
    """
    final = months[months["is_final"].to_numpy(np.bool_)].sort_values(["symbol", "month"])
    digest = hashlib.sha256("\n".join(final["symbol"]).encode())
    digest.update(final["month"].to_numpy().astype("datetime64[M]").tobytes())
    for name in _FINGERPRINTED:
        values = final[name].to_numpy(np.float64, copy=True)
        values[np.isnan(values)] = np.nan  # one NaN: a processor's own may carry a sign
        digest.update(values.tobytes())
    return digest.hexdigest()


def _number(version: ModelVersion) -> int:
    if version.model_version_id is None:
        raise ValueError("`version` must come from the database: received one without a number.")
    return version.model_version_id
