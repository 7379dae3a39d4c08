"""A cluster of two nodes that loses one in the middle of a run, unannounced, as a spot node goes."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster
from ray_runs import LONGER, attempts, hashes, metrics, run, two_node_cluster
from rich.console import Console
from tiny import manifests, tiny

from raycollapse.runner import run_here

pytestmark = pytest.mark.slow


@pytest.fixture
def two_nodes() -> Iterator[Cluster]:
    with two_node_cluster() as cluster:
        yield cluster


def test_a_run_that_loses_a_node_ends_with_the_numbers_of_one_that_did_not(two_nodes: Cluster, tmp_path: Path) -> None:
    changes = {
        "sweep": {"grid": {"selection": ["uniform", "greedy"]}}, "training": LONGER | {"num_steps": 1500},
        "num_generations": 3,
    }  # fmt: skip
    storage, undisturbed = tmp_path / "storage", tmp_path / "undisturbed"
    (worker,) = two_nodes.worker_nodes

    def both_nodes_train_generation_2() -> bool:
        begun = {path.parent.name for path in attempts(storage, "train")}
        done = {key for kind, key in manifests(storage) if kind == "train"}
        return len(begun - done) == 2 and any(storage.glob("stages/checkpoint/*/*/manifest.json"))

    def lose_one() -> None:
        while not both_nodes_train_generation_2():
            time.sleep(0.05)
        two_nodes.remove_node(worker, allow_graceful=False)

    thread = threading.Thread(target=lose_one, daemon=True)
    thread.start()
    assert not run(tiny(storage, **changes)).failures
    assert not thread.is_alive()
    assert [node["Alive"] for node in ray.nodes()].count(True) == 1
    assert not run_here(tiny(undisturbed, **changes), Console(quiet=True)).failures
    assert metrics(storage) == metrics(undisturbed)
    assert hashes(storage) == hashes(undisturbed)
