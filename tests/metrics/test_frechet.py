"""The Frechet distance, also where there are fewer points than dimensions."""

import numpy as np
import pytest
import scipy.linalg

from raycollapse.errors import RequestError
from raycollapse.metrics import Frechet, Points
from raycollapse.metrics.frechet import frechet_distance


def gaussian(num, dim, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num, dim)) @ rng.normal(size=(dim, dim)) + rng.normal(size=dim)


def by_matrix_root(a, b):
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)


@pytest.mark.parametrize(("num_a", "num_b"), [(500, 500), (500, 90), (60, 700)])
def test_scipys_matrix_root_agrees_where_it_is_stable(num_a, num_b):
    a, b = gaussian(num_a, 12), gaussian(num_b, 12, seed=1)
    assert frechet_distance(a, b) == pytest.approx(by_matrix_root(a, b), rel=1e-8)


@pytest.mark.parametrize(("num_a", "num_b"), [(10, 10), (10, 200), (200, 10), (2, 2)])
def test_fewer_points_than_dimensions_agree_with_the_eigenvalues_of_the_product(num_a, num_b):
    a, b = gaussian(num_a, 40), gaussian(num_b, 40, seed=1)
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    overlap = np.sqrt(np.maximum(np.linalg.eigvals(cov_a @ cov_b).real, 0)).sum()
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b) - 2 * overlap
    # zero eigenvalues come out as 1e-16 of the largest, and their roots as 1e-8: hence the tolerance
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_torchmetrics_agrees_to_its_precision():
    import torch
    from torchmetrics.image.fid import _compute_fid

    a, b = gaussian(400, 10), gaussian(300, 10, seed=1)
    covariances = [torch.from_numpy(np.cov(x.T)) for x in (a, b)]
    means = [torch.from_numpy(x.mean(0)) for x in (a, b)]
    theirs = float(_compute_fid(means[0], covariances[0], means[1], covariances[1]))
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize(("num_a", "num_b"), [(300, 300), (120, 260)])
def test_torchmetrics_metric_given_features_instead_of_images_agrees(num_a, num_b):
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    features_are_given = torch.nn.Identity()
    features_are_given.num_features = 10
    theirs = FrechetInceptionDistance(feature=features_are_given)
    a, b = gaussian(num_a, 10), gaussian(num_b, 10, seed=1)
    theirs.update(torch.from_numpy(a), real=True)
    theirs.update(torch.from_numpy(b), real=False)
    assert frechet_distance(a, b) == pytest.approx(float(theirs.compute()), rel=1e-8)


def test_one_dimension_is_the_difference_of_means_and_of_deviations():
    a, b = gaussian(50, 1), gaussian(60, 1, seed=1)
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_a_shift_adds_its_squared_length():
    a = gaussian(100, 7)
    assert frechet_distance(a, a + 3.0) == pytest.approx(7 * 9.0)


@pytest.mark.parametrize("num", [5, 300])
def test_a_set_is_at_distance_zero_from_itself_in_any_order(num):
    a = gaussian(num, 20)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0.0, abs=1e-8 * np.trace(np.cov(a.T)))


def test_swapping_rotating_and_shifting_both_change_nothing():
    a, b = gaussian(100, 6), gaussian(15, 6, seed=1)
    rotation = np.linalg.qr(gaussian(6, 6, seed=2))[0]
    expected = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(expected)
    assert frechet_distance(a @ rotation + 5, b @ rotation + 5) == pytest.approx(expected)
    assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * expected)


def test_one_point_is_refused():
    with pytest.raises(RequestError, match="at least 2"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_the_floor_states_how_many_points_it_was_made_from():
    def points(num, seed):
        return Points(gaussian(num, 4, seed).astype(np.float32), np.zeros(num, np.int64))

    values = dict(Frechet().measure(points(50, 0), points(20, 1), points(50, 2), points(50, 3)))
    assert values["quality/fd_floor_num"] == 20 and values["quality/fd_floor"] > 0
    without = dict(Frechet().measure(points(50, 0), points(0, 1), points(50, 2), points(50, 3)))
    assert without["quality/fd_floor_num"] == 0 and "quality/fd_floor" not in without
