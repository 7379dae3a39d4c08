"""The first experiment of a new user, on a seed other than its own."""

from pathlib import Path

import pytest
from check_quickstart import check_effect
from rich.console import Console

from raycollapse.config import load
from raycollapse.report import collect
from raycollapse.runner import run_here

QUICKSTART = Path(__file__).parents[1] / "experiments" / "quickstart.yaml"


@pytest.mark.slow
def test_selection_slows_the_collapse_on_real_digits(tmp_path: Path) -> None:
    changes = [f"storage={tmp_path}", "seed=1", "tracking.mlflow=false"]
    result = run_here(load(QUICKSTART, changes), Console(quiet=True))
    assert not result.failures
    check_effect(collect(result.store, ["quickstart"]))
