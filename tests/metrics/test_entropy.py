"""The Kozachenko-Leonenko estimate: closed forms, invariances, a naive version, edges."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import digamma, gamma

from raycollapse.errors import RequestError
from raycollapse.metrics.entropy import kozachenko_leonenko


def gaussian(num, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(num, dim))


def naive(points, k, floor=1e-10):
    num, dim = points.shape
    eps = np.sort(cdist(points, points), axis=1)[:, k]
    ball = np.pi ** (dim / 2) / gamma(dim / 2 + 1)
    return digamma(num) - digamma(k) + np.log(ball) + dim * np.log(np.maximum(eps, floor)).mean()


@pytest.mark.parametrize("k", [1, 3, 10])
def test_a_naive_version_agrees(k):
    points = gaussian(300, 4)
    assert kozachenko_leonenko(points, k).value == pytest.approx(naive(points, k), rel=1e-10)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_gaussian_has_half_log_two_pi_e_to_the_d(dim):
    values = [kozachenko_leonenko(gaussian(4000, dim, seed)).value for seed in range(4)]
    assert np.mean(values) == pytest.approx(dim / 2 * np.log(2 * np.pi * np.e), abs=0.03)


@pytest.mark.parametrize("dim", [1, 2])
def test_a_uniform_cube_of_side_a_has_d_log_a(dim):
    values = [kozachenko_leonenko(3 * np.random.default_rng(s).random((4000, dim))).value for s in range(4)]
    assert np.mean(values) == pytest.approx(dim * np.log(3), abs=0.05)


def test_scaling_by_a_shifts_the_entropy_by_d_log_a():
    points = gaussian(500, 6)
    difference = kozachenko_leonenko(5 * points).value - kozachenko_leonenko(points).value
    assert difference == pytest.approx(6 * np.log(5), rel=1e-9)


def test_order_rotation_and_shift_change_nothing():
    points = gaussian(400, 5)
    rotation = np.linalg.qr(gaussian(5, 5, seed=1))[0]
    moved = np.random.default_rng(2).permutation(points @ rotation + 10.0)
    assert kozachenko_leonenko(moved).value == pytest.approx(kozachenko_leonenko(points).value, rel=1e-9)


def test_selecting_the_spread_out_half_raises_the_entropy():
    from raycollapse.selection.greedy import farthest_points

    points = gaussian(1000, 3)
    chosen = points[farthest_points(points, 500, first=0)]
    assert kozachenko_leonenko(chosen).value > kozachenko_leonenko(points[:500]).value + 0.5


def test_duplicates_are_counted_and_held_at_the_floor():
    points = np.concatenate([gaussian(20, 2), gaussian(20, 2)[:3]])
    entropy = kozachenko_leonenko(points, floor=1e-10)
    assert entropy.num_at_floor == 6
    assert entropy.value == pytest.approx(naive(points, 1))
    assert np.isfinite(kozachenko_leonenko(np.ones((10, 3))).value)


def test_a_higher_dimension_than_gamma_can_hold_is_finite():
    assert np.isfinite(kozachenko_leonenko(gaussian(50, 3072)).value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((1, 2)),), "at least 2"),
        ((np.zeros((0, 2)),), "at least 2"),
        ((np.zeros((5, 2)), 5), r"k is 5; with 5 points it must lie in 1\.\.4"),
        ((np.zeros((5, 2)), 1, 0.0), "floor is 0.0"),
        ((np.full((5, 2), np.nan),), "NaN or infinity in 5 of 5 rows"),
    ],
)
def test_bad_input_is_refused_with_its_value(arguments, message):
    with pytest.raises(RequestError, match=message):
        kozachenko_leonenko(*arguments)
