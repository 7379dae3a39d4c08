"""A sweep that each kind of disturbance has hit once ends with the results of one that was left alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.chaos.disturbances import DISTURBANCES

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_that_everything_has_hit_once_ends_as_if_nothing_had(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.chaos", "--kills", str(len(DISTURBANCES)), "--seed", "0"]
    done = subprocess.run(
        [*command, "--work", str(tmp_path / "work")], cwd=ROOT, capture_output=True, text=True, timeout=1700
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = re.findall(r"\d+ disturbances \((.*)\), .*: equal to the undisturbed run", done.stdout)
    skipped = {kind.name for kind in DISTURBANCES if f"Skipped: {kind.name}" in done.stdout}
    assert skipped <= {"full disks"}
    assert {kind.name for kind in DISTURBANCES} - skipped == set(re.findall(r"\d+ ([^,]+)", line))
