"""Trials that agree share their stages: within a sweep that runs several at a time, and with the sweeps after it."""

from collections import Counter
from pathlib import Path

import pytest
from ray_runs import attempts, hashes, run
from tiny import manifests, tiny

from raycollapse.expansion import expand
from raycollapse.plan import plan
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords, trial_keys

SEEDS, STRATEGIES, GENERATIONS = [0, 1], ["uniform", "greedy", "k_means"], 4


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_grid_of_6_trials_trains_generation_1_once_per_seed_and_a_later_sweep_not_at_all(tmp_path: Path) -> None:
    grid = {"seed": SEEDS, "selection": STRATEGIES}
    experiment = tiny(
        tmp_path, num_generations=GENERATIONS, resources={"device": "cpu", "max_concurrent_trials": 3},
        sweep={"grid": grid},
    )  # fmt: skip
    planned = plan([trial.on("cpu") for trial in expand(experiment)])
    assert planned.num_in_all["train"] == 6 * GENERATIONS
    assert not run(experiment).failures

    store = Store(str(tmp_path))
    records = [record for key in trial_keys(store, "tiny") for record in TrialRecords(store, "tiny", key).read()]
    models = {(record.generation, record.stages["train"]) for record in records}
    assert Counter(generation for generation, _ in models) == {1: len(SEEDS), 2: 6, 3: 6, 4: 6}
    assert Counter(kind for kind, _ in manifests(tmp_path)) == planned.num_shared
    assert len(attempts(tmp_path, "train")) == len(SEEDS) + 6 * 3, "none was begun twice"

    before = hashes(tmp_path)
    later = run(tiny(tmp_path, name="later", num_generations=GENERATIONS, sweep={"grid": {"selection": STRATEGIES}}))
    assert not later.failures and later.compute.made.seconds == 0.0 and later.compute.shared.seconds > 0.0
    assert hashes(tmp_path) == before
