"""The identity of a published month."""

from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, kw_only=True)
class MonthKey:
    """Source, universe and origin month: one published run in force each."""

    source: str
    universe: str
    origin_month: date

    def parameters(self) -> dict[str, Any]:
        """Return the key as statement parameters."""
        return {"source": self.source, "universe": self.universe, "origin_month": self.origin_month}
