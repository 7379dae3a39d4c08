"""A search on Ray: several trials at a time, and resumed by another process' records."""

import json
from pathlib import Path

import pytest
from ray_runs import run
from tiny import tiny

from raycollapse.config import Experiment, build
from raycollapse.distributed.sweep import HandingOut
from raycollapse.report.search import found_by_search
from raycollapse.search.study import SearchTrials
from raycollapse.store import Store
from raycollapse.tracking.records import trial_keys
from raycollapse.trial_source import ListedTrials


def searched(folder: Path, num_trials: int, max_concurrent: int) -> Experiment:
    space = {"selection.decay": {"name": "uniform", "low": 0.3, "high": 0.99}}
    search = {"space": space, "objectives": {"quality/fd": "minimise"}, "num_trials": num_trials, "num_random": 1}
    resources = {"device": "cpu", "max_concurrent_trials": max_concurrent}
    return tiny(folder, selection="threshold_decay", resources=resources, sweep={"search": search})


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_search_runs_several_trials_at_a_time_and_is_extended_by_running_it_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert not run(searched(tmp_path, 3, 2)).failures
    first = set(trial_keys(store, "tiny"))
    assert not run(searched(tmp_path, 4, 2)).failures
    found = found_by_search(store, "tiny")
    assert found is not None
    assert len(first) == 3 and first < {trial.trial_key for trial in found[1]} and len(found[1]) == 4


@pytest.mark.usefixtures("local_ray")
def test_what_goes_wrong_in_taking_note_of_a_trial_is_told_as_it_is_and_nothing_is_run_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: SearchTrials, trial: Experiment) -> None:
        raise OSError("the network is away")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="the network is away"):
        patch.setattr(SearchTrials, "settle", broken)
        run(searched(tmp_path, 3, 1))
    assert len(trial_keys(Store(str(tmp_path)), "tiny")) == 1
    assert not run(searched(tmp_path, 3, 1)).failures


def test_a_trial_is_what_its_command_asked_for_whatever_its_record_says_by_then(tmp_path: Path) -> None:
    trial = tiny(tmp_path, num_generations=8).on("cpu")
    handed = HandingOut(ListedTrials([trial])).suggest("a")
    assert build(json.loads(handed["trial"])) == trial
