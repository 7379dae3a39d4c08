"""The densest candidates, against their definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from raycollapse.errors import RequestError
from raycollapse.selection import DensityTop, Greedy, Pool
from raycollapse.selection.density_top import densest_points

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def naive(points: Array, num_select: int, k: int) -> list[int]:
    radii = []
    for row, point in enumerate(points):
        gaps = sorted(float(((point - other) ** 2).sum()) for i, other in enumerate(points) if i != row)
        radii.append(gaps[k - 1])
    return sorted(range(len(points)), key=lambda row: (radii[row], row))[:num_select]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.booleans())
def test_the_nearest_to_their_kth_neighbour_are_kept(seed: int, num: int, on_a_grid: bool) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 4, (num, 2)).astype(np.float64) if on_a_grid else rng.normal(size=(num, 2))
    num_select, k = int(rng.integers(1, num + 1)), int(rng.integers(1, num))
    assert densest_points(points, num_select, k).tolist() == naive(points, num_select, k)


def test_of_a_widening_line_the_crowded_end_is_kept() -> None:
    """At x = i^2 the gaps are 1, 3, 5, ...: with k = 1 the radii are 1, 1, 3, 5, ..., in the order of the points."""
    assert densest_points((np.arange(20.0) ** 2)[:, None], 8, k=1).tolist() == list(range(8))


def test_a_minority_mode_vanishes_where_greedy_keeps_it() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(190, 2)), rng.normal(size=(10, 2)) + 20]).astype(np.float32)
    pool = Pool(np.stack([np.ones(200), np.arange(200)], axis=1).astype(np.int64), points)
    typical, spread = (s.select(pool, 40, np.random.default_rng(0)) for s in (DensityTop(k=10), Greedy()))
    assert typical.max() < 190 and (spread >= 190).any()


def test_a_rotation_a_shift_and_a_scale_change_nothing_and_a_permutation_permutes() -> None:
    rng = np.random.default_rng(0)
    points, order = rng.normal(size=(150, 5)), rng.permutation(150)
    picks = densest_points(points, 60, 3)
    moved = 3.0 * points @ np.linalg.qr(rng.normal(size=(5, 5)))[0] + 2.0
    # points that are each other's third neighbour tie, and a rotation's rounding breaks ties: so sets, and an odd cut
    radius = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)[:, 3]
    assert np.sort(radius)[60] > np.sort(radius)[59] * (1 + 1e-9)
    assert set(densest_points(moved, 60, 3).tolist()) == set(picks.tolist())
    assert set(order[densest_points(points[order], 60, 3)].tolist()) == set(picks.tolist())


def test_cosine_looks_at_directions_only() -> None:
    points = np.random.default_rng(0).normal(size=(100, 4))
    scaled = points * 2.0 ** np.random.default_rng(1).integers(-3, 4, (100, 1))
    on_sphere = points / np.linalg.norm(points, axis=1, keepdims=True)
    picks = densest_points(scaled, 30, metric="cosine").tolist()
    assert picks == densest_points(points, 30, metric="cosine").tolist()
    assert set(picks) == set(densest_points(on_sphere, 30).tolist())
    assert set(picks) != set(densest_points(scaled, 30).tolist())


def test_equal_points_are_kept_in_their_order() -> None:
    assert densest_points(np.ones((6, 3)), 4).tolist() == [0, 1, 2, 3]


def test_one_and_all_can_be_kept() -> None:
    points = np.array([[0.0], [1.0], [1.5], [9.0]])
    assert densest_points(points, 1, k=1).tolist() == [1]
    assert densest_points(points, 4, k=1).tolist() == [1, 2, 0, 3]


def test_float16_is_chosen_from_as_float32() -> None:
    half = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float16)
    assert densest_points(half, 20).tolist() == densest_points(half.astype(np.float32), 20).tolist()


@pytest.mark.parametrize(
    ("points", "num_select", "k", "said"),
    [
        (np.ones((3, 2)), 4, 1, "num_select is 4"),
        (np.ones((3, 2)), 0, 1, "num_select is 0"),
        (np.ones((3, 2)), 2, 3, "k is 3; with 3 candidates it must be at least 1 and less than 3"),
        (np.ones((3, 2)), 2, 0, "k is 0"),
        (np.ones((1, 2)), 1, 1, "k is 1"),
        (np.full((3, 2), np.nan), 2, 1, "NaN"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(points: Array, num_select: int, k: int, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        densest_points(points, num_select, k)


def test_a_neighbour_before_the_first_is_refused_by_the_configuration() -> None:
    with pytest.raises(ValidationError):
        DensityTop(k=0)
