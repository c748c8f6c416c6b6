"""Replays: identical to the bit after later downloads, and the differences otherwise."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

import flows.monthly
from flows.ingest import ingest_prices
from flows.monthly import monthly_forecast
from flows.replay import replay_run
from tasks.database import get_store
from tasks.errors import BadRequestError, DamagedModelError
from tasks.research.replay import explain_replay, outcome_sentence
from tests.support.database import damage, snapshot, write_prices
from tests.support.rows import query

AS_OF = date(2013, 6, 30)


@pytest.fixture(autouse=True)
def trained_network(machine: pytest.MonkeyPatch) -> None:
    """A network that is used though it gains little, so that its weights are in what is replayed."""
    config = replace(flows.monthly.CONFIG, epochs=2, fine_tune_epochs=1, learning_rate=0.03, smallest_gain=0.0)
    machine.setattr(flows.monthly, "CONFIG", config)


def test_replay_run_of_a_fresh_run_is_identical_to_the_bit(machine: None, database_url: str) -> None:
    monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    assert query(
        database_url,
        "select count(*) filter (where h.q10 <> b.q10) from forecast.forecast h "
        "join forecast.forecast b using (run_id, symbol, horizon) "
        "where h.forecaster = 'hybrid' and b.forecaster = 'baseline'",
    ) == [(24,)]
    before = snapshot(database_url)
    replay = replay_run(1, retrain=True)
    assert replay.is_identical
    assert replay.rows == 2 * 12 * 3
    ((sha256, fingerprint, reason),) = query(
        database_url, "select weights_sha256, data_fingerprint, verdict_reason from forecast.model_version"
    )
    assert (replay.retrained_sha256, replay.stored_fingerprint) == (sha256, fingerprint)
    assert outcome_sentence(replay) == "The replay of run 1 is identical to the bit: 72 of 72 rows."
    explained = "\n".join(explain_replay(replay))
    for expected in (
        "sample (sample) from 2018-12",
        reason,
        "fingerprint",
        "the same versions as in the run",
        "same weights",
    ):
        assert expected in explained
    assert snapshot(database_url) == before

    # Settings of the database for other programs change no digit.
    name = database_url.rpartition("/")[2]
    for setting in ("extra_float_digits = 0", "timezone = 'Pacific/Kiritimati'", "search_path = ''"):
        query(database_url, f"alter database {name} set {setting}")
    get_store().close()
    replay = replay_run(1)
    assert (replay.is_identical, replay.rows) == (True, 2 * 12 * 3)


def test_replay_run_stays_identical_when_the_past_is_corrected(
    machine: None, database_url: str, index_bars: pd.DataFrame, tmp_path: Path
) -> None:
    """Five more years, a late dividend of 2012, and a bar of 2010 corrected."""
    source = write_prices(tmp_path / "p.csv", index_bars[index_bars["date"] <= pd.Timestamp(AS_OF)])
    monthly_forecast(as_of=AS_OF, source=source)
    restated = index_bars.copy()
    restated.loc[restated["date"] < "2012-03-01", "adj_close"] *= 0.97
    is_corrected = (restated["ticker"] == "SPX") & (restated["date"] == "2010-05-03")
    restated.loc[is_corrected, ["close", "adj_close", "high"]] *= 1.02
    ingest_prices(write_prices(tmp_path / "p.csv", restated), first=date(1999, 1, 1))
    assert query(database_url, "select count(*) from market.corporate_action where kind = 'dividend'")[0][0] >= 2
    assert query(database_url, "select symbol, session from market.bar_revision") == [("SPX", date(2010, 5, 3))]

    replay = replay_run(1, retrain=True)
    assert replay.is_identical
    # A run of the same month that knows what is known now is another one.
    monthly_forecast(as_of=AS_OF, source=source, mode="keep", rerun=True)
    assert query(
        database_url,
        "select count(*) > 0 from forecast.forecast a join forecast.forecast b using (symbol, horizon, forecaster) "
        "where a.run_id = 1 and b.run_id = 2 and a.q10 <> b.q10",
    ) == [(True,)]
    assert replay_run(1).is_identical
    assert replay_run(2).is_identical


def test_replay_run_trains_a_kept_and_fine_tuned_model_once_more_from_its_own_months(
    machine: None, database_url: str
) -> None:
    monthly_forecast(as_of=date(2018, 9, 30), source="sample")
    monthly_forecast(as_of=date(2018, 11, 30), source="sample", mode="fine-tune")
    monthly_forecast(as_of=date(2018, 12, 31), source="sample", mode="keep")
    replay = replay_run(3, retrain=True)
    assert replay.is_identical
    assert (
        replay.retrained_sha256
        == query(database_url, "select weights_sha256 from forecast.model_version where kind = 'fine_tune'")[0][0]
    )
    assert (replay.model.model_version_id, replay.model.parent_id, replay.stored_fingerprint) == (2, 1, None)
    explained = "\n".join(explain_replay(replay))
    assert "fine_tune from model 1 by run 2" in explained
    assert "the run kept its model" in explained


def test_replay_run_names_the_changed_row(machine: None, database_url: str) -> None:
    monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    query(
        database_url,
        "update forecast.forecast set q50 = q50 + 1e-12 "
        "where symbol = '^IXIC' and horizon = 3 and forecaster = 'baseline'",
    )
    query(
        database_url,
        "delete from forecast.forecast where symbol = '^GSPC' and horizon = 12 and forecaster = 'persistence'",
    )
    query(database_url, "update forecast.forecast_origin set naive_mae = naive_mae * 2 where symbol = '^GSPC'")
    query(database_url, "update forecast.model_version set data_fingerprint = 'another'")
    query(database_url, 'update ops.run set software = software || \'{"numpy": "1.0"}\'')
    replay = replay_run(1)
    assert not replay.is_identical
    assert replay.largest_difference == pytest.approx(1e-12, rel=1e-3)
    (row,) = replay.differing.to_dict("records")
    assert (row["symbol"], row["horizon"], row["forecaster"], row["quantile"]) == ("^IXIC", 3, "baseline", "q50")
    assert replay.one_sided.to_numpy().tolist() == [["^GSPC", 12, "persistence", "stored"]]
    sentence = outcome_sentence(replay)
    for expected in (
        "1 of 71 rows differ",
        "^IXIC, 3 months ahead, baseline, q50 stored",
        "1 rows are not stored (first: ^GSPC, 12 months ahead, persistence)",
        "the months of 1 symbols have changed (first: ^GSPC, naive_mae)",
        "fingerprint of the months differs from the stored one",
    ):
        assert expected in sentence
    assert any("numpy 1.0 in the run" in line for line in explain_replay(replay))


def test_replay_run_answers_in_one_sentence_when_there_is_nothing_to_replay(
    machine: pytest.MonkeyPatch, database_url: str
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with machine.context() as broken:
        broken.setattr(flows.monthly, "train_candidates", fail)
        with pytest.raises(KeyboardInterrupt):
            monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    for run_id in (0, 99, 2**70):
        with pytest.raises(BadRequestError, match=f"Run {run_id} does not exist in this database"):
            replay_run(run_id)
    for status, finished_at, sentence in (
        ("failed", "now()", "Only published runs can be replayed; run 1 failed: "),
        ("abandoned", "now()", "run 1 was abandoned"),
        ("running", "null", "run 1 is in progress"),
    ):
        query(database_url, f"update ops.run set status = '{status}', finished_at = {finished_at}")
        with pytest.raises(BadRequestError, match=sentence) as refused:
            replay_run(1)
        assert refused.value.exit_code == 4


def test_replay_run_names_the_damaged_model(machine: None, database_url: str) -> None:
    monthly_forecast(as_of=date(2018, 12, 31), source="sample")
    damage(database_url, 1)
    with pytest.raises(DamagedModelError, match="Model 1 is damaged"):
        replay_run(1)
