"""The benchmark of greedy in two rounds runs, and what it measures is what it says."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from raycollapse.metrics.entropy import kozachenko_leonenko

SCRIPT = Path(__file__).parents[1] / "experiments" / "benchmarks" / "distributed_greedy.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(SCRIPT.parent)  # as Python does for a script
    return runpy.run_path(str(SCRIPT))


def test_quality_is_what_plain_formulas_give(script: dict[str, Any]) -> None:
    pool = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    picks = np.arange(10, 40)
    quality = script["quality"](pool, 25, picks, 1.5)
    among = cdist(pool[picks], pool[picks])
    np.fill_diagonal(among, np.inf)
    assert quality.covering_radius == pytest.approx(cdist(pool, pool[picks]).min(axis=1).max())
    assert quality.sum_log_nearest == pytest.approx(np.log(among.min(axis=1)).sum())
    assert quality.entropy == kozachenko_leonenko(pool[picks]).value
    assert (quality.real_share, quality.seconds) == (0.5, 1.5)


def test_the_stand_ins_have_the_mean_of_what_they_stand_for_and_are_narrower(script: dict[str, Any]) -> None:
    real = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    pool, num_real = script["mixed_pool"](real, 0.5)
    np.testing.assert_array_equal(pool[:num_real], real[:20])
    np.testing.assert_allclose(pool[20:].mean(axis=0), real[20:].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(pool[20:].std(axis=0), 0.5 * real[20:].std(axis=0), rtol=1e-5)


def test_one_shard_loses_nothing_and_every_run_is_in_the_table_and_the_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "loss.json"
    options = ["--features", "clusters", "--dim", "6", "--size", "200", "--shards", "1", "4", "--shortlists", "1", "2"]
    monkeypatch.syspath_prepend(SCRIPT.parent)
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *options, "--seeds", "2", "--json", str(file)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    rows = json.loads(file.read_text())["rows"]
    assert len(rows) == 12 and all(len(row["runs"]) == 2 for row in rows)
    for num_select in (100, 25):
        own = [row for row in rows if row["num_select"] == num_select]
        greedy, one_shard = own[0], next(row for row in own[1:] if row["shards"] == 1)
        assert own[-1]["strategy"] == "random"
        for of_greedy, of_one in zip(greedy["runs"], one_shard["runs"], strict=True):
            assert of_greedy | {"seconds": 0} == of_one | {"seconds": 0}
        entropies = [np.mean([run["entropy"] for run in row["runs"]]) for row in own]
        assert max(entropies) > entropies[-1] == min(entropies)
    assert capsys.readouterr().out.count("\n| ") == len(rows) + 1  # the second heading
