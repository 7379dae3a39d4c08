"""Two commands at once on one storage, with a cluster each or on the same one: both finish, with the same stages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ray.cluster_utils import Cluster
from ray_runs import attempts, hashes, metrics
from rich.console import Console
from tiny import TINY, manifests, tiny

from raycollapse.runner import run_here

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

COMMAND = "from raycollapse.cli import main; main()"
CHANGES = {"sweep": {"grid": {"selection": ["uniform", "greedy"]}}}


def run_twice_at_once(folder: Path, *options: str) -> Path:
    """Run the same command in two processes at the same time; return the storage."""
    file, storage = folder / "tiny.yaml", folder / "storage"
    file.write_text(yaml.safe_dump({**TINY, **CHANGES}))
    command = [sys.executable, "-c", COMMAND, "run", str(file), "--storage", str(storage), *options]
    own = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=own)
        for _ in range(2)
    ]
    said = [one.communicate(timeout=600)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], "\n".join(said)
    return storage


def assert_whole(storage: Path, undisturbed: Path) -> None:
    """Each stage was committed once, as in a run that was alone, and nothing else is left."""
    assert hashes(storage) == hashes(undisturbed)
    assert metrics(storage) == metrics(undisturbed)
    kept = {(found.kind, found.key): [found.attempt] for found in manifests(storage).values()}
    for kind, key in kept:
        assert [path.name for path in attempts(storage, kind) if path.parent.name == key] == kept[kind, key]
    assert not list(storage.glob("stages/*/*.damaged-*"))
    assert not [path for path in storage.rglob(".*") if path.is_file()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("undisturbed")
    assert not run_here(tiny(storage, **CHANGES), Console(quiet=True)).failures
    return storage


def test_from_two_clusters(tmp_path: Path, undisturbed: Path) -> None:
    """They know nothing of each other's claims: what both make, the first commit decides."""
    assert_whole(run_twice_at_once(tmp_path), undisturbed)


def test_on_one_cluster(tmp_path: Path, undisturbed: Path) -> None:
    head = {"num_cpus": 2, "resources": {"driver": 1}, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        assert_whole(run_twice_at_once(tmp_path, "--address", cluster.address), undisturbed)
    finally:
        cluster.shutdown()
