"""What a run would do wrongly or never finish is refused before anything starts, for every trial of a sweep."""

from pathlib import Path

import pytest
from rich.console import Console
from tiny import tiny

from raycollapse.distributed.resources import Bundle, Supply, refusals
from raycollapse.errors import RequestError
from raycollapse.expansion import expand
from raycollapse.runner import run_here, run_on_ray

HERE = Supply((Bundle(cpus=2, gpus=1, driver=1),))


def test_one_trial_of_a_grid_that_could_never_run_is_refused_once(tmp_path: Path) -> None:
    """Ray would run the others, and wait for ever for the CPUs of this one."""
    grid = {"resources.threads": [1, 64], "selection": ["uniform", "greedy"]}
    found = refusals(expand(tiny(tmp_path, sweep={"grid": grid})), HERE)
    assert len(found) == len(set(found)) == 3  # training, sampling, and the tasks
    assert all("64 CPU on one node" in reason for reason in found)


def test_a_grid_whose_trials_all_fit_is_accepted(tmp_path: Path) -> None:
    assert refusals(expand(tiny(tmp_path, sweep={"grid": {"resources.threads": [1, 2]}})), HERE) == []


def test_what_a_metric_cannot_measure_is_refused_before_a_cluster_is_looked_for(tmp_path: Path) -> None:
    told = tiny(tmp_path / "storage", metrics=[{"name": "entropy", "k": 40}])
    with pytest.raises(RequestError, match=r"metrics\[0\]\.k is 40"):
        run_on_ray(told, Console(quiet=True), address="nowhere:1")
    assert not (tmp_path / "storage").exists()


def test_one_process_does_not_pass_for_several_train_workers(tmp_path: Path) -> None:
    """Its model would lie in the store under the key of theirs, and be taken for it."""
    told = tiny(tmp_path / "storage", resources={"device": "cpu", "train_workers": 2})
    with pytest.raises(RequestError, match=r"train_workers is 2, but --local trains in one process"):
        run_here(told, Console(quiet=True))
    assert not (tmp_path / "storage").exists()
