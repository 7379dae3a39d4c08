"""Greedy Selection against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycollapse.errors import RequestError
from raycollapse.selection import Greedy, Pool
from raycollapse.selection.greedy import farthest_points

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def naive(points: Array, num_select: int, first: int) -> list[int]:
    chosen = [first]
    while len(chosen) < num_select:
        gap = np.linalg.norm(points[:, None] - points[chosen][None], axis=2).min(axis=1)
        gap[chosen] = -1.0
        chosen.append(int(gap.argmax()))
    return chosen


def is_greedy(points: Array, picks: list[int]) -> bool:
    """Whether each pick lies within 1e-5 relative of the largest distance given the picks before it."""
    for m in range(1, len(picks)):
        gap = np.linalg.norm(points[:, None] - points[picks[:m]][None], axis=2).min(axis=1)
        gap[picks[:m]] = -1.0
        if gap[picks[m]] < gap.max() * (1 - 1e-5) - 1e-12:
            return False
    return len(set(picks)) == len(picks)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 6), st.booleans())
def test_every_pick_is_the_farthest_candidate(seed: int, num: int, dim: int, on_a_grid: bool) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 4, (num, dim)).astype(np.float64) if on_a_grid else rng.normal(size=(num, dim))
    num_select, first = int(rng.integers(1, num + 1)), int(rng.integers(num))
    picks = farthest_points(points, num_select, first).tolist()
    assert picks[0] == first and len(picks) == num_select
    assert is_greedy(points, picks)
    if on_a_grid:  # distances are exact there, so that ties are ties: they go to the lowest index
        assert picks == naive(points, num_select, first)


@pytest.mark.parametrize("num", [5000, 6000])
def test_large_pools_with_near_duplicates_are_chosen_by_the_definition_too(num: int) -> None:
    rng = np.random.default_rng(num)
    points = rng.normal(size=(num, 24)) * 0.7 ** np.arange(24)
    points[num // 2 :] = points[: num - num // 2] + 1e-6 * rng.normal(size=(num - num // 2, 24))
    picks = farthest_points(points.astype(np.float32), 400, 7)
    gap = np.linalg.norm(points.astype(np.float32) - points[7].astype(np.float32), axis=1).astype(np.float64)
    for pick in picks[1:]:
        assert gap[pick] >= gap.max() * (1 - 1e-5)
        gap = np.minimum(gap, np.linalg.norm((points - points[pick]).astype(np.float32), axis=1))


def test_a_rotation_and_a_shift_change_nothing() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 8))
    rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    assert farthest_points(points, 100, 3).tolist() == farthest_points(points @ rotation + 5.0, 100, 3).tolist()


def test_cosine_is_euclidean_on_the_unit_sphere() -> None:
    points = np.random.default_rng(0).normal(size=(200, 5))
    on_sphere = points / np.linalg.norm(points, axis=1, keepdims=True)
    scaled = points * np.random.default_rng(1).uniform(0.1, 10, (200, 1))
    assert farthest_points(scaled, 50, 0, metric="cosine").tolist() == farthest_points(on_sphere, 50, 0).tolist()


def test_equal_points_are_chosen_in_their_order() -> None:
    assert farthest_points(np.ones((6, 3)), 4, 2).tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize(
    ("points", "num_select", "first"),
    [(np.ones((3, 2)), 4, 0), (np.ones((3, 2)), 0, 0), (np.ones((3, 2)), 2, 3), (np.full((3, 2), np.nan), 2, 0)],
)
def test_what_cannot_be_chosen_from_is_refused(points: Array, num_select: int, first: int) -> None:
    with pytest.raises(RequestError):
        farthest_points(points, num_select, first)


def test_the_strategy_starts_where_its_generator_says() -> None:
    features = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    pool = Pool(np.stack([np.ones(50), np.arange(50)], axis=1).astype(np.int64), features)
    picks = Greedy().select(pool, 10, np.random.default_rng(5))
    assert picks.tolist() == farthest_points(features, 10, int(np.random.default_rng(5).integers(50))).tolist()
