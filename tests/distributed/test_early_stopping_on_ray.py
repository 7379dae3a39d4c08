"""A trial stopped early on Ray leaves nothing running, and nothing claimed."""

import os
import time
from pathlib import Path

import pytest
from ray_runs import LONGER, descendants, run
from tiny import manifests, tiny

from raycollapse.distributed.claims import Claims
from raycollapse.expansion import expand
from raycollapse.plan import stages_of
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords


def at_work() -> list[str]:
    """Return the Ray processes below this one that are in the middle of something."""
    titles = [title for _, title in descendants(os.getpid()) if title.startswith("ray::")]
    stay = ("IDLE", "ClaimBook", "Board", "DashboardAgent", "RuntimeEnvAgent", "_AutoscalingCoordinatorActor")
    return [title for title in titles if title.removeprefix("ray::").split(".")[0].split(" ")[0] not in stay]


@pytest.mark.usefixtures("local_ray")
@pytest.mark.slow
def test_a_stopped_trial_leaves_nothing_running_and_frees_its_claims(tmp_path: Path) -> None:
    grid = {"training.num_steps": [LONGER["num_steps"], 1]}
    scheduler = {"name": "asha", "metric": "quality/fd", "mode": "minimise", "reduction_factor": 2}
    experiment = tiny(
        tmp_path, training={**LONGER, "warmup_steps": 0}, num_generations=3,
        resources={"device": "cpu", "train_workers": 2, "max_concurrent_trials": 1},
        sweep={"grid": grid, "scheduler": scheduler},
    )  # fmt: skip
    result = run(experiment)
    assert not result.failures and len(result.stops) == 1
    whole, stopped = (trial.on("cpu") for trial in expand(experiment))
    records = [TrialRecords(Store(str(tmp_path)), "tiny", trial.trial_key()) for trial in (whole, stopped)]
    assert [len(own.read()) for own in records] == [3, 1]
    stages = stages_of(stopped)
    unmade = {name for name in stages if name not in manifests(tmp_path)}
    assert unmade, "the rest of its plan was never begun"

    deadline = time.monotonic() + 30
    while left := at_work():
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    keys = [f"{kind}/{key}" for kind, key in stages]
    another = Claims(str(tmp_path))
    assert another.take(keys) == set(keys)
    another.close()
