"""Neighbours among references that several actors hold, against those in one array."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycollapse.distributed.neighbours import QUERIES, merged, sharded_references
from raycollapse.errors import RequestError
from raycollapse.maths.neighbours import Neighbours, nearest

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@pytest.fixture(scope="module")
def points() -> Array:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(QUERIES + 500, 6)).astype(np.float32)
    points[100:200] = points[:100]  # duplicates, in the same shard and across shards
    points[-50:] = points[:50]
    return points


@pytest.mark.usefixtures("local_ray")
class TestOnRay:
    @pytest.mark.parametrize(("k", "exclude_self", "metric"), [(1, True, "l2"), (5, False, "l2"), (3, True, "cosine")])
    def test_they_are_those_of_one_process(self, points: Array, k: int, exclude_self: bool, metric: str) -> None:
        parts = [points[:150], points[150:1000], points[1000:]]
        with sharded_references([parts[0], lambda: parts[1], parts[2]], metric=metric) as references:  # type: ignore[arg-type]
            found = references.nearest(points, k, exclude_self)
        expected = nearest(points, points, k, exclude_self, metric=metric)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.distances, expected.distances)
        if metric == "l2":  # ties of cosine go either way in the last bit
            np.testing.assert_array_equal(found.indices, expected.indices)
        if exclude_self:
            assert not (found.indices == np.arange(len(points))[:, None]).any()

    def test_a_shard_smaller_than_k_gives_all_it_has(self) -> None:
        points = np.arange(6, dtype=np.float32)[:, None]
        with sharded_references([points[:1], points[1:2], points[2:]]) as references:
            assert references.nearest([[0.0]], 6).indices.tolist() == [[0, 1, 2, 3, 4, 5]]

    def test_what_cannot_be_asked_is_refused(self) -> None:
        with pytest.raises(RequestError, match="at least one"), sharded_references([]):
            pass
        with pytest.raises(RequestError, match="fewer shards"), sharded_references([np.ones((1, 2))] * 50):
            pass
        with pytest.raises(RequestError, match="NaN"), sharded_references([np.full((2, 2), np.nan)]):
            pass
        with sharded_references([np.ones((2, 2)), np.zeros((3, 2))]) as references:
            assert len(references) == 5
            with pytest.raises(RequestError, match=r"1\.\.5"):
                references.nearest(np.ones((1, 2)), 6)
            with pytest.raises(RequestError, match="1 queries and 5 references"):
                references.nearest(np.ones((1, 2)), 1, exclude_self=True)
            with pytest.raises(RequestError, match="dimensions"):
                references.nearest(np.ones((1, 3)), 1)


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 4))
def test_merging_the_nearest_of_every_shard_gives_the_nearest_of_all(seed: int, num_shards: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(k, 9, num_shards)
    distances = rng.integers(0, 5, (7, sizes.sum())).astype(np.float64)  # with ties
    offsets = np.cumsum([0, *sizes])
    found = []
    for start, end in itertools.pairwise(offsets):
        best = np.argsort(distances[:, start:end], axis=1, kind="stable")[:, :k]
        found.append(Neighbours(np.take_along_axis(distances[:, start:end], best, axis=1), best))
    expected = np.argsort(distances, axis=1, kind="stable")[:, :k]
    assert merged(found, offsets[:-1], k).indices.tolist() == expected.tolist()
