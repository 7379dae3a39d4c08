"""Moments of shards add up to the moments of the whole."""

import numpy as np
import pytest

from raycollapse.errors import RequestError
from raycollapse.maths.moments import Moments, covariance_trace


def points(num, dim=5, seed=0):
    return np.random.default_rng(seed).normal(3.0, 2.0, size=(num, dim))


def test_the_moments_are_those_of_numpy():
    values = points(9000)
    moments = Moments.of(values)
    np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(values.T), rtol=1e-10, atol=1e-12)
    assert moments.covariance_trace == pytest.approx(np.trace(np.cov(values.T)), rel=1e-12)
    assert covariance_trace(values) == pytest.approx(moments.covariance_trace, rel=1e-12)


@pytest.mark.parametrize("cuts", [[1], [500], [10, 11, 900]])
def test_any_split_into_shards_gives_the_moments_of_the_whole(cuts):
    values = points(1000)
    merged, *rest = [Moments.of(shard) for shard in np.split(values, cuts)]
    for other in rest:
        merged = merged.merge(other)
    whole = Moments.of(values)
    assert merged.num == whole.num
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(merged.scatter, whole.scatter, rtol=1e-10, atol=1e-9)


def test_a_large_offset_does_not_swamp_the_covariance():
    values = points(2000)
    np.testing.assert_allclose(Moments.of(values + 1e7).covariance, np.cov(values.T), rtol=1e-6, atol=1e-6)


def test_the_trace_of_equal_points_is_zero():
    assert covariance_trace(np.full((4, 3), 7.0)) == 0.0


def test_one_point_has_a_mean_and_no_covariance():
    moments = Moments.of(np.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(moments.mean, [1.0, 2.0])
    with pytest.raises(RequestError, match="at least 2 points"):
        _ = moments.covariance


def test_moments_of_different_widths_do_not_merge():
    with pytest.raises(RequestError, match="5 and 4 dimensions"):
        Moments.of(points(3)).merge(Moments.of(points(3, dim=4)))
