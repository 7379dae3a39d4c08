"""What is cut into shards, on a cluster of two nodes: the work is done on both, the result is that of one process."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
from ray_runs import hashes, two_node_cluster
from tiny import tiny

from raycollapse.backend import LocalBackend
from raycollapse.distributed.neighbours import QUERIES, sharded_references
from raycollapse.distributed.ray_backend import RayBackend
from raycollapse.maths.neighbours import nearest
from raycollapse.store import Store
from raycollapse.trial import Trial

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("two_nodes")]


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[None]:
    with two_node_cluster():
        yield


def test_neighbours_among_references_on_two_nodes_are_those_of_one_array(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(QUERIES + 300, 24)).astype(np.float32)
    points[-200:] = points[:200]  # duplicates, held by different nodes
    seen = str(tmp_path)

    def shard(rows: slice) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        (Path(seen) / ray.get_runtime_context().get_node_id()).touch()
        return points[rows]

    with sharded_references([lambda: shard(slice(0, 1500)), lambda: shard(slice(1500, None))]) as references:
        assert len(references) == len(points)
        among_all, among_others = references.nearest(points, 4), references.nearest(points, 4, exclude_self=True)
    assert len(list(tmp_path.iterdir())) == 2
    for found, exclude_self in ((among_all, False), (among_others, True)):
        expected = nearest(points, points, 4, exclude_self)
        np.testing.assert_array_equal(found.distances, expected.distances)
        np.testing.assert_array_equal(found.indices, expected.indices)


def test_two_rounds_of_greedy_on_two_nodes_pick_what_they_pick_in_one_process(tmp_path: Path) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    selection = {"name": "plugins:MeetingGreedy", "num_shards": 3, "meeting": str(meeting)}
    on_cluster, here = (tiny(tmp_path / name, selection=selection) for name in ("cluster", "here"))
    store = Store(on_cluster.storage)
    backend = RayBackend(store, on_cluster, num_gpus=0)
    pool = Trial(on_cluster, LocalBackend(store)).real_data()
    picks = Trial(on_cluster, backend).select(pool, 1)
    backend.close()
    assert {node["NodeID"] for node in ray.nodes()} == {file.name for file in meeting.iterdir()}
    local = Trial(here, LocalBackend(Store(here.storage)))
    assert local.select(local.real_data(), 1) == picks
    made = hashes(tmp_path / "cluster")
    assert [key.split("/")[0] for key in made].count("shortlist") == 3
    assert hashes(tmp_path / "here") == made
