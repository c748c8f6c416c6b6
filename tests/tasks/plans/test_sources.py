"""Specs of the price sources: accepted and refused ones."""

from pathlib import Path

import pytest

from tasks.errors import BadRequestError
from tasks.plans.sources import open_source


@pytest.mark.parametrize("spec", ["", "Yahoo", "file:", "files:x.csv", "x.csv"])
def test_open_source_refuses_an_unknown_spec(spec: str) -> None:
    with pytest.raises(BadRequestError, match=rf"{spec!r}; choose 'sample', 'file:PATH' or 'yahoo'"):
        open_source(spec)


def test_open_source_opens_each_kind(tmp_path: Path) -> None:
    assert open_source("file:somewhere/daily.csv.gz").default_universe == "daily"
    yahoo = open_source("yahoo", cache_dir=tmp_path / "cache", base_url="http://127.0.0.1:9")
    assert (yahoo.kind, yahoo.default_universe, yahoo.instruments()) == ("yahoo", "", None)
    with pytest.raises(ValueError, match="`cache_dir`"):
        open_source("yahoo")
