"""One candidate for each cluster, against a plain k-means."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from raycollapse.errors import RequestError
from raycollapse.selection import KMeans, Pool
from raycollapse.selection.k_means import cluster_representatives

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def squared(a: Array, b: Array) -> Array:
    return np.asarray(((a[:, None] - b[None]) ** 2).sum(axis=2))


def naive(points: Array, first: list[int], num_iterations: int, spherical: bool) -> list[int] | None:
    """Lloyd's iterations, then the members nearest their means; none where a cluster lost all its members."""
    centroids = points[first]
    for _ in range(num_iterations):
        clusters = squared(points, centroids).argmin(axis=1)
        if len(set(clusters.tolist())) < len(first):
            return None
        centroids = np.stack([points[clusters == c].mean(axis=0) for c in range(len(first))])
        if spherical:
            centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    clusters, picks = squared(points, centroids).argmin(axis=1), []
    for c in set(clusters.tolist()):
        members = np.flatnonzero(clusters == c)
        gaps = squared(points[members], points[members].mean(axis=0)[None])[:, 0]
        best = int(members[np.flatnonzero(gaps <= gaps.min() + 1e-12)[0]])
        picks.append((-len(members), best))
    return [best for _, best in sorted(picks)] if len(picks) == len(first) else None


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 4), st.booleans())
def test_the_most_central_member_of_each_cluster_is_kept(seed: int, num: int, steps: int, spherical: bool) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(num, 3)).astype(np.float32).astype(np.float64)
    if spherical:
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    num_select = int(rng.integers(1, num + 1))
    first = rng.choice(num, num_select, replace=False)
    expected = naive(points, first.tolist(), steps, spherical)
    assume(expected is not None)
    metric = "cosine" if spherical else "l2"
    assert cluster_representatives(points, num_select, first, steps, metric=metric).tolist() == expected


def test_clusters_far_apart_give_one_each_the_larger_first() -> None:
    rng = np.random.default_rng(0)
    sizes = [30, 10, 20]
    points = np.repeat([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]], sizes, axis=0) + rng.normal(size=(60, 2))
    picks = cluster_representatives(points, 3, [0, 30, 40])
    clusters = np.repeat([0, 1, 2], sizes)
    assert clusters[picks].tolist() == [0, 2, 1]
    for pick in picks:
        members = np.flatnonzero(clusters == clusters[pick])
        gaps = np.linalg.norm(points[members] - points[members].mean(axis=0), axis=1)
        assert pick == members[gaps.argmin()]


def test_one_cluster_gives_the_candidate_nearest_the_mean() -> None:
    points = np.random.default_rng(0).normal(size=(500, 6)) + 3
    (pick,) = cluster_representatives(points, 1, [17])
    assert pick == np.linalg.norm(points - points.mean(axis=0), axis=1).argmin()


def test_all_candidates_can_be_kept() -> None:
    points = np.random.default_rng(0).normal(size=(20, 3))
    assert cluster_representatives(points, 20, np.random.default_rng(1).permutation(20)).tolist() == list(range(20))


def test_a_rotation_a_shift_and_a_scale_change_nothing_and_a_permutation_permutes() -> None:
    rng = np.random.default_rng(0)
    points, first, order = rng.normal(size=(400, 8)), rng.choice(400, 12, replace=False), rng.permutation(400)
    picks = cluster_representatives(points, 12, first)
    moved = 3.0 * points @ np.linalg.qr(rng.normal(size=(8, 8)))[0] + 100.0
    assert cluster_representatives(moved, 12, first).tolist() == picks.tolist()
    permuted = order[cluster_representatives(points[order], 12, np.argsort(order)[first])]
    assert set(permuted.tolist()) == set(picks.tolist())


def test_cosine_looks_at_directions_only() -> None:
    rng = np.random.default_rng(0)
    points, first = rng.normal(size=(300, 4)), rng.choice(300, 15, replace=False)
    scaled = points * 2.0 ** rng.integers(-3, 4, (300, 1))
    picks = [cluster_representatives(p, 15, first, metric="cosine").tolist() for p in (points, scaled)]
    assert picks[0] == picks[1] != cluster_representatives(scaled, 15, first).tolist()


def test_opposite_directions_whose_mean_is_no_direction_can_be_clustered() -> None:
    assert cluster_representatives([[1.0, 0.0], [-1.0, 0.0]], 1, [1], metric="cosine").tolist() == [0]


def test_equal_points_leave_clusters_empty_and_are_still_picked_once() -> None:
    assert cluster_representatives(np.ones((6, 3)), 4, [5, 2, 0, 3]).tolist() == [0, 1, 2, 3]
    points = np.repeat([[0.0], [7.0], [9.0]], [2, 5, 3], axis=0)
    picks = cluster_representatives(points, 7, np.arange(7)).tolist()
    assert picks == [2, 7, 0, 3, 8, 1, 4]  # each cluster's first, the largest cluster first; then the second of each


def test_float16_is_chosen_from_as_float32() -> None:
    half = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float16)
    small, large = (cluster_representatives(p, 9, np.arange(9)).tolist() for p in (half, half.astype(np.float32)))
    assert small == large


def test_features_far_from_zero_lose_no_digits() -> None:
    points = np.round(np.random.default_rng(0).normal(size=(3000, 64)) * 1024).astype(np.float32) / 32
    first = np.random.default_rng(1).choice(3000, 300, replace=False)
    far = points + np.float32(1e5)
    assert (far - np.float32(1e5) == points).all()  # so whatever is lost is lost by us
    near, moved = (cluster_representatives(p, 300, first, 3).tolist() for p in (points, far))
    assert near == moved


def test_more_iterations_lower_the_distance_to_the_nearest_pick() -> None:
    rng = np.random.default_rng(0)
    points, first = rng.normal(size=(2000, 4)), rng.choice(2000, 100, replace=False)
    errors = [
        squared(points, points[cluster_representatives(points, 100, first, steps)]).min(axis=1).mean()
        for steps in (1, 10)
    ]
    assert errors[1] < 0.97 * errors[0] and errors[0] < squared(points, points[first]).min(axis=1).mean()


def test_the_strategy_starts_where_its_generator_says_and_repeats_itself() -> None:
    features = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    pool = Pool(np.stack([np.ones(300), np.arange(300)], axis=1).astype(np.int64), features)
    picks = [KMeans().select(pool, 40, np.random.default_rng(seed)).tolist() for seed in (5, 5, 6)]
    first = np.random.default_rng(5).choice(300, 40, replace=False)
    assert picks[0] == picks[1] == cluster_representatives(features, 40, first).tolist() != picks[2]


@pytest.mark.parametrize(
    ("points", "num_select", "first", "said"),
    [
        (np.ones((3, 2)), 4, [0, 1, 2], "num_select is 4"),
        (np.ones((3, 2)), 0, [], "num_select is 0"),
        (np.ones((3, 2)), 2, [0, 0], "first must be 2 distinct rows from 0 to 2"),
        (np.ones((3, 2)), 2, [0, 3], "first must be 2 distinct rows"),
        (np.ones((3, 2)), 2, [0], r"first has shape \(1,\)"),
        (np.full((3, 2), np.nan), 2, [0, 1], "NaN"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(points: Array, num_select: int, first: list[int], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        cluster_representatives(points, num_select, first)


def test_no_iteration_is_refused() -> None:
    with pytest.raises(RequestError, match="num_iterations is 0"):
        cluster_representatives(np.eye(3), 2, [0, 1], 0)
    with pytest.raises(ValidationError):
        KMeans(num_iterations=0)
