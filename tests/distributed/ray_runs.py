"""What the tests of this folder share: running on Ray, comparing storages, finding processes."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster
from rich.console import Console
from tiny import manifests, results

from raycollapse.config import Experiment
from raycollapse.runner import Result, run_on_ray
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords, trial_keys

LONGER = {"num_steps": 300, "warmup_steps": 1, "batch_size": 16, "learning_rate": 1e-3, "checkpoint_steps": 50}
"""A training of a second or two."""


HERE = Path(__file__).parent


@contextmanager
def two_node_cluster() -> Iterator[Cluster]:
    """Connect this process to a cluster of two nodes of one CPU each, whose workers can import this folder."""
    paths = filter(None, [str(HERE), os.environ.get("PYTHONPATH")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.syspath_prepend(HERE)
        head = {"num_cpus": 1, "resources": {"driver": 1}, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.add_node(num_cpus=1)
        ray.init(cluster.address, log_to_driver=False, namespace="raycollapse")
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def run(experiment: Experiment) -> Result:
    """Run an experiment on the Ray that this process is connected to."""
    return run_on_ray(experiment, Console(quiet=True))


def hashes(storage: Path) -> dict[str, dict[str, str]]:
    """Return the hash of every file of every finished stage, by kind and key."""
    return {
        f"{kind}/{key}": {name: entry.sha256 for name, entry in manifest.files.items()}
        for (kind, key), manifest in manifests(storage).items()
    }


def metrics(storage: Path) -> dict[str, list[dict[str, float]]]:
    """Return the metrics of every generation of every trial, without what they cost."""
    store = Store(str(storage))
    return {
        key: [dict(values) for values in results(TrialRecords(store, "tiny", key).read())]
        for key in trial_keys(store, "tiny")
    }


def attempts(storage: Path, kind: str) -> list[Path]:
    """Return the folders that attempts at stages of a kind have made, finished or not."""
    return [path for path in storage.glob(f"stages/{kind}/*/*") if path.is_dir()]


def descendants(pid: int) -> list[tuple[int, str]]:
    """Return the live processes below one, and their titles."""
    children: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append((int(entry.name), title))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += [child for child, _ in below]
    return found


def kill_below(pid: int, title: str) -> bool:
    """Kill one process of ours by its title; return whether there was one."""
    for child, name in descendants(pid):
        if title in name:
            os.kill(child, signal.SIGKILL)
            return True
    return False
