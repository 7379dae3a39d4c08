"""The kernel distance: a naive version, torchmetrics' formula, closed forms, invariances, chance."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.kid import poly_mmd

from raycollapse.errors import RequestError
from raycollapse.metrics import Kid, Points
from raycollapse.metrics.kernel import kernel_distance


def gaussian(num, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(num, dim))


def naive(a, b):
    """The unbiased estimate over all pairs of different points."""

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def among(x):
        products = kernel(x, x)
        return (products.sum() - np.trace(products)) / (len(x) * (len(x) - 1))

    return among(a) + among(b) - 2 * kernel(a, b).mean()


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(1, 10), st.sampled_from([0.1, 1.0, 30.0]), st.integers(0, 2**31))
def test_one_subset_of_everything_agrees_with_a_naive_version(num, dim, scale, seed):
    rng = np.random.default_rng(seed)
    a, b = scale * rng.normal(size=(num, dim)), scale * rng.normal(size=(num, dim)) + 1
    size_of_terms = (3 * scale**2 + 3) ** 3  # what cancels
    assert kernel_distance(a, b).value == pytest.approx(naive(a, b), abs=1e-11 * size_of_terms, rel=1e-9)


def test_torchmetrics_formula_agrees():
    a, b = gaussian(70, 8), 1.2 * gaussian(70, 8, seed=1)
    theirs = float(poly_mmd(torch.from_numpy(a), torch.from_numpy(b)))
    assert kernel_distance(a, b).value == pytest.approx(theirs, rel=1e-12)


def test_subsets_estimate_what_everything_does():
    a, b = gaussian(400, 5), gaussian(400, 5, seed=1) + 0.5
    estimate = kernel_distance(a, b, num_subsets=300, subset_size=100)
    assert estimate.subset_size == 100 and estimate.deviation > 0
    # five standard errors of a mean over subsets
    assert abs(estimate.value - naive(a, b)) < 5 * estimate.deviation / np.sqrt(300)


def test_two_draws_of_one_distribution_are_at_distance_zero_on_average_and_often_below():
    values = [kernel_distance(gaussian(100, 3, s), gaussian(100, 3, s + 500)).value for s in range(200)]
    assert abs(np.mean(values)) < 5 * np.std(values) / np.sqrt(200)
    assert 0.2 < np.mean(np.array(values) < 0) < 0.9


def test_single_points_repeated_give_the_difference_of_their_kernels():
    a, b = np.full((10, 1), 2.0), np.full((10, 1), 3.0)
    # k(2, 2) + k(3, 3) - 2 k(2, 3)
    assert kernel_distance(a, b).value == pytest.approx(5**3 + 10**3 - 2 * 7**3)


def test_order_rotation_and_swapping_change_nothing():
    a, b = gaussian(60, 6), 1.5 * gaussian(60, 6, seed=1)
    rotation = np.linalg.qr(gaussian(6, 6, seed=2))[0]
    expected = kernel_distance(a, b).value
    assert kernel_distance(b, a).value == pytest.approx(expected)
    assert kernel_distance(a[::-1] @ rotation, b @ rotation).value == pytest.approx(expected)


def test_the_seed_decides_the_subsets_and_other_draws_neither_change_it_nor_are_changed():
    a, b = gaussian(100, 4), gaussian(120, 4, seed=1)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = kernel_distance(a, b, subset_size=20)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert kernel_distance(a, b, subset_size=20) == first
    assert kernel_distance(a, b, subset_size=20, seed=1) != first


def test_float32_is_computed_in_float64():
    a, b = (200 + 50 * gaussian(50, 10)).astype(np.float32), (200 + 50 * gaussian(50, 10, seed=1)).astype(np.float32)
    expected = naive(a.astype(np.float64), b.astype(np.float64))
    assert kernel_distance(a, b).value == pytest.approx(expected, rel=1e-9)


def test_nobody_is_warned_of_the_features_that_torchmetrics_keeps():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel_distance(gaussian(5, 2), gaussian(5, 2))


def test_one_point_is_refused():
    with pytest.raises(RequestError, match="at least 2"):
        kernel_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_the_floor_states_how_many_points_it_was_made_from():
    def points(num, seed):
        return Points(gaussian(num, 4, seed).astype(np.float32), np.zeros(num, np.int64))

    real, synthetic = points(50, 0), points(90, 2)
    values = dict(Kid().measure(real, points(20, 1), points(50, 3), synthetic))
    assert values["quality/kd"] == kernel_distance(synthetic.features[:50], real.features).value
    assert values["quality/kd_floor_num"] == 20 and "quality/kd_floor" in values
    without = dict(Kid().measure(real, points(0, 1), points(50, 3), synthetic))
    assert without["quality/kd_floor_num"] == 0 and "quality/kd_floor" not in without
