"""A search in a storage behind a URI: its study lies there too, and goes on there."""

from pathlib import Path

import pytest
from rich.console import Console
from tiny import tiny

from raycollapse.config import Experiment
from raycollapse.report.search import found_by_search
from raycollapse.runner import run_here
from raycollapse.store import Store


@pytest.mark.parametrize("uri", ["s3"], indirect=True)
def test_behind_a_uri_a_search_is_extended_and_stops_trials_early_as_in_a_folder(uri: str, tmp_path: Path) -> None:
    def searched(num_trials: int, folder: Path | None = None) -> Experiment:
        search = {
            "space": {"selection.decay": {"name": "uniform", "low": 0.3, "high": 0.99}},
            "objectives": {"quality/fd": "minimise"}, "num_trials": num_trials, "num_random": 1,
        }  # fmt: skip
        scheduler = {"name": "median", "metric": "quality/fd", "mode": "minimise", "min_trials": 1, "grace_period": 2}
        own = tiny(
            folder or tmp_path, selection="threshold_decay", num_generations=3, metrics=["frechet"],
            sweep={"search": search, "scheduler": scheduler},
        )  # fmt: skip
        return own if folder else own.model_copy(update={"storage": uri})

    for num in (2, 4):
        assert not run_here(searched(num), Console(quiet=True)).failures
    here = run_here(searched(4, tmp_path / "here"), Console(quiet=True))
    there, beside = found_by_search(Store(uri), "tiny"), found_by_search(here.store, "tiny")
    assert there is not None and beside is not None
    assert there.found == beside.found and there.num_stopped == beside.num_stopped
    assert len(there.found) + there.num_stopped == 4
