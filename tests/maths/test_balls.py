"""Points counted in balls, against brute force in float64, on the inputs that defeat float32."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from raycollapse.errors import RequestError
from raycollapse.maths import balls
from raycollapse.maths.balls import count_inside


def gaussian(num, dim, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=(num, dim)).astype(dtype)


def naive(points, centres, radii):
    """A pair whose squared distance is the squared radius to 1e-10 lies on the surface, and so outside."""
    squared = cdist(points.astype(np.float64), centres.astype(np.float64), "sqeuclidean")
    inside = squared < radii**2 * (1 - 1e-10)
    return inside.sum(axis=1), inside.sum(axis=0)


def assert_agrees(points, centres, radii):
    counted = count_inside(points, centres, radii)
    for ours, expected in zip(counted, naive(points, centres, radii), strict=True):
        np.testing.assert_array_equal(ours, expected)


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12)),
    noise=st.sampled_from([0.0, 1e-12, 1e-6, 1e-2, 1.0]),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    radius=st.sampled_from([0.0, 1e-9, 1e-6, 1e-2, 1.0, 3.0]),
    seed=st.integers(0, 2**31),
)
def test_any_small_set_agrees_with_brute_force(sizes, noise, offset, radius, seed):
    num, num_balls, dim = sizes
    rng = np.random.default_rng(seed)
    seeds = rng.normal(size=(5, dim)) + offset
    points = seeds[rng.integers(5, size=num)] + noise * rng.normal(size=(num, dim))
    centres = seeds[rng.integers(5, size=num_balls)] + noise * rng.normal(size=(num_balls, dim))
    assert_agrees(points, centres, radius * rng.random(num_balls))


def test_every_radius_that_a_point_gives_is_on_the_surface_and_so_outside():
    points = gaussian(60, 48)
    radii = cdist(points.astype(np.float64), points.astype(np.float64))[:, 7]
    assert not count_inside(points[7:8], points, radii).points_of_ball.any()
    assert (count_inside(points[7:8], points, radii * (1 + 1e-9)).points_of_ball == (radii > 0)).all()


@pytest.mark.parametrize("noise", [1e-3, 1e-5])
def test_near_duplicates_far_from_the_origin_are_counted_exactly(noise):
    rng = np.random.default_rng(3)
    points = np.repeat(gaussian(20, 64, dtype=np.float64), 10, axis=0) + noise * rng.normal(size=(200, 64)) + 1000.0
    radii = np.median(cdist(points, points)[:, :10]) * (0.5 + rng.random(200))
    for values in (points, points.astype(np.float32)):
        assert_agrees(values[::2], values, radii)


def test_blocks_change_nothing(monkeypatch):
    points, centres = gaussian(50, 6), gaussian(70, 6, seed=1)
    radii = np.random.default_rng(2).random(70) * 4
    whole = count_inside(points, centres, radii)
    monkeypatch.setattr(balls, "_BLOCK_VALUES", 100)
    for ours, expected in zip(count_inside(points, centres, radii), whole, strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert whole.balls_of_point.sum() == whole.points_of_ball.sum() > 0


def test_memory_stays_far_below_a_matrix_of_all_pairs():
    import tracemalloc

    points, centres = gaussian(8000, 4), gaussian(8000, 4, seed=1)
    tracemalloc.start()
    count_inside(points, centres, np.full(8000, 0.05))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8000 * 8000 * 4 / 4


def test_all_points_equal_lie_in_every_ball_but_those_of_radius_zero():
    counted = count_inside(np.ones((5, 3)), np.ones((4, 3)), np.array([0.0, 1e-30, 1.0, 2.0]))
    assert counted.points_of_ball.tolist() == [0, 5, 5, 5] and counted.balls_of_point.tolist() == [3] * 5


def test_sets_of_different_widths_are_refused():
    with pytest.raises(RequestError, match="points has 3 dimensions and centres has 4"):
        count_inside(gaussian(5, 3), gaussian(5, 4), np.ones(5))


@pytest.mark.parametrize("radii", [np.ones(4), np.ones((5, 1)), np.full(5, np.nan), np.array([1.0, 1, 1, 1, -1])])
def test_radii_that_are_none_are_refused(radii):
    with pytest.raises(RequestError, match="are given for 5 balls"):
        count_inside(gaussian(5, 3), gaussian(5, 3), radii)


def test_float16_and_every_second_row_are_taken_as_they_are():
    points, centres = gaussian(60, 5, dtype=np.float16), gaussian(80, 5, seed=1)[::2]
    assert_agrees(points, centres, np.full(40, 2.0))
