"""The generalization score."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from raycollapse.errors import RequestError
from raycollapse.metrics.generalization import generalization_score


def gaussian(num, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(num, dim))


def test_a_naive_version_agrees():
    synthetic, train = gaussian(200, 8), gaussian(300, 8, seed=1)
    assert generalization_score(synthetic, train) == pytest.approx(cdist(synthetic, train).min(axis=1).mean())


def test_copies_of_the_train_set_score_zero():
    train = gaussian(50, 8)
    assert generalization_score(train[[3, 3, 7]], train) == 0.0


def test_on_a_grid_the_score_is_the_offset():
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    assert generalization_score(grid + np.array([0.3, 0.0]), grid) == pytest.approx(0.3)


def test_scaling_scales_the_score():
    synthetic, train = gaussian(100, 4), gaussian(100, 4, seed=1)
    assert generalization_score(9 * synthetic, 9 * train) == pytest.approx(9 * generalization_score(synthetic, train))


def test_more_training_points_never_raise_the_score():
    synthetic, train = gaussian(100, 4), gaussian(200, 4, seed=1)
    assert generalization_score(synthetic, train) <= generalization_score(synthetic, train[:100])


def test_sets_of_different_widths_are_refused():
    with pytest.raises(RequestError, match="3 dimensions and references has 4"):
        generalization_score(gaussian(5, 3), gaussian(5, 4))
