"""A search on Ray: several trials at a time, and resumed by another process' records."""

from pathlib import Path

import pytest
from ray_runs import run
from tiny import tiny

from raycollapse.config import Experiment
from raycollapse.report.search import found_by_search
from raycollapse.store import Store
from raycollapse.tracking.records import trial_keys


def searched(folder: Path, num_trials: int, max_concurrent: int) -> Experiment:
    space = {"selection.decay": {"name": "uniform", "low": 0.3, "high": 0.99}}
    search = {"space": space, "objectives": {"quality/fd": "minimise"}, "num_trials": num_trials, "num_random": 1}
    resources = {"device": "cpu", "max_concurrent_trials": max_concurrent}
    return tiny(folder, selection="threshold_decay", resources=resources, sweep={"search": search})


@pytest.mark.usefixtures("local_ray")
def test_a_search_runs_several_trials_at_a_time_and_is_extended_by_running_it_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert not run(searched(tmp_path, 3, 2)).failures
    first = set(trial_keys(store, "tiny"))
    assert not run(searched(tmp_path, 4, 2)).failures
    found = found_by_search(store, "tiny")
    assert found is not None
    assert len(first) == 3 and first < {trial.trial_key for trial in found[1]} and len(found[1]) == 4
