"""The shapes that the preflight accepts do finish, on a real Ray: 2 logical CPUs, 1 logical GPU, nothing of ours in it.

So `problems` is held against Ray itself: should a later Ray wait for ever in one of these, this says so.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from test_preflight import HERE

from raycollapse.distributed.resources import Bundle, Demand, problems
from raycollapse.distributed.sweep import SETTINGS

FOLDER = Path(__file__).parent
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SLIVER, DRIVER, GPU = Bundle(cpus=0.01), Bundle(driver=0.01), Bundle(gpus=1)
CASES = {
    "2 trials hold 0.01 CPU, `from_items` feeds 0.25-CPU actors": (SLIVER, Bundle(cpus=0.25), None),
    "2 trials take turns on one GPU, training, then sampling": (SLIVER, GPU, GPU),
    "2 trials hold a driver's share, 1-CPU stages": (DRIVER, Bundle(cpus=1), Bundle(cpus=1)),
}
NUM_TRIALS, NUM_GENERATIONS, NUM_SHARDS = 2, 2, 3


@pytest.fixture(scope="module")
def two_cpus_one_gpu() -> Iterator[None]:
    (node,) = HERE.nodes
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (FOLDER, FOLDER.parent))))  # workers import this module
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        ray.init(
            "local", num_cpus=int(node.cpus), num_gpus=int(node.gpus), resources={"driver": node.driver},
            include_dashboard=False, log_to_driver=False,
        )  # fmt: skip
        yield
        ray.shutdown()


class Sampler:
    """An actor of a pool."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.05)
        return batch


def train_model() -> None:
    """Hold what it takes for a moment."""
    time.sleep(0.05)


def orchestrate(_: dict[str, Any], sampler: dict[str, float], train: dict[str, float] | None) -> None:
    """Do what a trial does: a task that holds what training takes, then a pool, and again."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    for _ in range(NUM_GENERATIONS):
        if train is not None:
            ray.get(ray.remote(train_model).options(scheduling_strategy="DEFAULT", **train).remote())
        rows = ray.data.from_items([{"shard": index} for index in range(NUM_SHARDS)]).map_batches(
            Sampler, batch_size=1, compute=ray.data.ActorPoolStrategy(min_size=1, max_size=2), **sampler
        )
        tune.report({"shards": rows.count()})


@pytest.mark.usefixtures("two_cpus_one_gpu")
@pytest.mark.parametrize("case", CASES)
def test_what_is_accepted_finishes(case: str) -> None:
    trial, sampler, train = CASES[case]
    demand = Demand(NUM_TRIALS, trial, train_worker=train or Bundle(), num_train_workers=1, sampler=sampler)
    assert problems(demand, HERE) == []
    held = {"cpu": trial.cpus, "driver": trial.driver}
    with tempfile.TemporaryDirectory() as scratch:
        results = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(orchestrate, sampler=_options(sampler), train=train and _options(train)),
                {name: amount for name, amount in held.items() if amount},
            ),
            tune_config=tune.TuneConfig(num_samples=NUM_TRIALS, max_concurrent_trials=NUM_TRIALS),
            run_config=tune.RunConfig(storage_path=scratch, verbose=0),
        ).fit()
    assert results.num_errors == 0
    assert [result.metrics["shards"] for result in results] == [NUM_SHARDS] * NUM_TRIALS  # type: ignore[index]


def _options(bundle: Bundle) -> dict[str, float]:
    """Return what Ray calls these; a stage on a GPU holds no CPU."""
    return {"num_gpus": bundle.gpus, "num_cpus": 0} if bundle.gpus else {"num_cpus": bundle.cpus}
