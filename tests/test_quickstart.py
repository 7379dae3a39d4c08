"""The first experiment of a new user, as a command: on a seed other than its own, with half of the steps."""

import subprocess
import sys
from pathlib import Path

import pytest
from check_quickstart import check_effect

from raycollapse.report import collect
from raycollapse.store import Store

QUICKSTART = Path(__file__).parents[1] / "experiments" / "quickstart.yaml"
COMMAND = [sys.executable, "-c", "from raycollapse.cli import main; main()", "run", str(QUICKSTART)]
CHANGES = ["seed=1", "training.num_steps=500", "sampling.num_steps=50", "tracking.mlflow=false"]


@pytest.mark.slow
def test_selection_slows_the_collapse_on_real_digits(tmp_path: Path) -> None:
    changes = [argument for change in CHANGES for argument in ("--set", change)]
    command = [*COMMAND, "--storage", str(tmp_path), *changes]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    check_effect(collect(Store(str(tmp_path)), ["quickstart"]))
