"""The Vendi score: its authors' package, a naive version, closed forms, invariances, edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycollapse.errors import RequestError
from raycollapse.metrics import Points, Vendi
from raycollapse.metrics.vendi import vendi_score


def gaussian(num, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(num, dim))


def naive(points):
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    shares = np.linalg.svd(unit, compute_uv=False) ** 2 / len(unit)
    shares = shares[shares > 1e-14]
    return np.exp(-(shares * np.log(shares)).sum())


@settings(max_examples=100, deadline=None)
@given(num=st.integers(1, 30), dim=st.integers(1, 30), distinct=st.integers(1, 30), seed=st.integers(0, 2**31))
def test_any_small_set_agrees_with_a_naive_version(num, dim, distinct, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(distinct, dim))[rng.integers(distinct, size=num)] + 0.1
    # eigenvalues that should be zero come out as some 1e-16
    assert vendi_score(points) == pytest.approx(naive(points), rel=1e-11)


@pytest.mark.parametrize(("num", "dim"), [(200, 12), (12, 200), (30, 30)])
def test_the_package_of_its_authors_agrees(num, dim):
    vendi = pytest.importorskip("vendi_score.vendi", reason="vendi-score is not installed")
    points = gaussian(num, dim) + 0.5
    assert vendi_score(points) == pytest.approx(vendi.score_dual(points), rel=1e-10)


@pytest.mark.parametrize("num", [1, 7, 50])
def test_orthogonal_points_count_as_many_as_they_are(num):
    assert vendi_score(3.0 * np.eye(num)) == pytest.approx(num)
    assert vendi_score(3.0 * np.eye(num, 80)) == pytest.approx(num)


def test_points_of_one_direction_count_as_one():
    assert vendi_score(np.arange(1.0, 20.0)[:, None] * np.array([1.0, 2.0, -1.0])) == pytest.approx(1.0)


def test_two_directions_in_unequal_shares_have_the_exponential_of_their_entropy():
    points = np.repeat(np.eye(2), [9, 1], axis=0)
    assert vendi_score(points) == pytest.approx(np.exp(-0.9 * np.log(0.9) - 0.1 * np.log(0.1)))


def test_a_centred_gaussian_fills_every_dimension():
    assert vendi_score(gaussian(20000, 6)) == pytest.approx(6.0, rel=1e-3)


@pytest.mark.parametrize(("num", "dim"), [(40, 6), (6, 40)])
def test_order_rotation_repetition_and_lengths_change_nothing(num, dim):
    points = gaussian(num, dim) + 1
    rotation = np.linalg.qr(gaussian(dim, dim, seed=1))[0]
    expected = vendi_score(points)
    assert vendi_score(points[::-1] @ rotation) == pytest.approx(expected)
    assert vendi_score(np.concatenate([points, points])) == pytest.approx(expected)
    assert vendi_score(points * np.random.default_rng(2).uniform(0.01, 100, (num, 1))) == pytest.approx(expected)


def test_blocks_of_rows_add_up():
    points = (gaussian(9000, 5) + 1).astype(np.float32)
    assert vendi_score(points) == pytest.approx(naive(points.astype(np.float64)), rel=1e-9)


def test_a_zero_vector_is_refused_by_its_row():
    points = gaussian(9, 3)
    points[[4, 7]] = 0
    with pytest.raises(RequestError, match=r"2 zero vector\(s\), first in row 4"):
        vendi_score(points)


def test_the_member_measures_as_many_points_as_are_real():
    def points(num, seed):
        return Points(gaussian(num, 4, seed).astype(np.float32), np.zeros(num, np.int64))

    train, synthetic = points(80, 1), points(90, 2)
    values = dict(Vendi().measure(points(40, 0), points(0, 3), train, synthetic))
    assert values == {
        "diversity/vendi_train_set": vendi_score(train.features[:40]),
        "diversity/vendi_synthetic": vendi_score(synthetic.features[:40]),
    }
