"""The data-copying test: scipy's statistic, a naive version, closed forms, invariances, power, edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu, norm
from sklearn.cluster import KMeans

from raycollapse.errors import RequestError
from raycollapse.metrics import Ct, Points
from raycollapse.metrics.data_copying import data_copying, rank_sum_z


def gaussian(num, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(num, dim))


def naive_z(a, b):
    n, m = len(a), len(b)
    pairs = (a[:, None] > b).sum() + 0.5 * (a[:, None] == b).sum()
    return (pairs - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12)


def naive(synthetic, held_out, train, num_cells, minimum):
    centres = KMeans(num_cells, n_init=1, random_state=0).fit(train).cluster_centers_
    total = weight = 0.0
    for cell in range(num_cells):
        q, p, t = (x[cdist(x, centres).argmin(axis=1) == cell] for x in (synthetic, held_out, train))
        if len(q) >= minimum and len(p) >= minimum and len(t) > 0:
            total += len(p) * naive_z(cdist(q, t).min(axis=1), cdist(p, t).min(axis=1))
            weight += len(p)
    return total / weight if weight else np.nan


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.lists(st.integers(0, 8), min_size=1, max_size=30))
def test_the_statistic_agrees_with_counting_pairs_and_with_scipys_u(a, b):
    a, b = np.array(a, float), np.array(b, float)
    z = rank_sum_z(a, b)
    assert z == pytest.approx(naive_z(a, b), abs=1e-12)
    u = z * np.sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12) + len(a) * len(b) / 2
    assert u == pytest.approx(mannwhitneyu(a, b).statistic)


def test_without_ties_the_p_value_is_scipys():
    a, b = gaussian(40, 1).ravel(), gaussian(30, 1, seed=1).ravel() + 0.4
    test = mannwhitneyu(a, b, alternative="less", method="asymptotic", use_continuity=False)
    assert norm.cdf(rank_sum_z(a, b)) == pytest.approx(test.pvalue)


def test_swapping_turns_the_sign():
    a, b = gaussian(20, 1).ravel(), gaussian(30, 1, seed=1).ravel()
    assert rank_sum_z(a, b) == pytest.approx(-rank_sum_z(b, a)) and rank_sum_z(a, a) == 0.0


@pytest.mark.parametrize(("num_cells", "minimum"), [(1, 1), (4, 5), (12, 20)])
def test_a_naive_version_agrees(num_cells, minimum):
    sets = gaussian(300, 3), 1.2 * gaussian(200, 3, seed=1), gaussian(400, 3, seed=2)
    outcome = data_copying(*sets, num_cells=num_cells, min_population=minimum)
    assert outcome.value == pytest.approx(naive(*sets, num_cells, minimum), abs=1e-9)


def test_copies_of_everything_in_one_cell_reach_the_least_value():
    train, held_out = gaussian(100, 4), gaussian(50, 4, seed=1)
    outcome = data_copying(train[:80], held_out, train, num_cells=1)
    assert outcome.value == pytest.approx(-np.sqrt(3 * 80 * 50 / (80 + 50 + 1)))
    assert outcome.num_cells == 1 and outcome.share == 1.0


def test_new_draws_give_one_cell_a_standard_normal_value():
    values = [
        data_copying(gaussian(60, 2, s), gaussian(60, 2, s + 1000), gaussian(2000, 2, s + 2000), num_cells=1).value
        for s in range(1, 201)
    ]
    assert abs(np.mean(values)) < 4 / np.sqrt(200)
    # both sets are measured against one train set, which barely correlates them: hence a little wider than chance
    assert np.std(values) == pytest.approx(1.0, abs=0.2)


def test_copying_in_one_place_is_seen_behind_underfitting_in_another():
    def two_places(num, seed, spread=(1.0, 1.0)):
        halves = [gaussian(num, 2, seed) * spread[0], gaussian(num, 2, seed + 1) * spread[1] + 100]
        return np.concatenate(halves)

    train, held_out = two_places(200, 0), two_places(200, 10)
    copies = np.concatenate([train[:200] + 1e-6, two_places(200, 20, (1, 5))[200:]])
    only = data_copying(copies[:200], held_out, train, num_cells=2)
    assert only.num_cells == 1 and only.share == 0.5 and only.value < -10
    assert abs(data_copying(two_places(200, 30), held_out, train, num_cells=2).value) < 3


def test_rotating_shifting_and_scaling_all_change_nothing():
    sets = [gaussian(100, 3), gaussian(90, 3, seed=1), gaussian(110, 3, seed=2)]
    rotation = np.linalg.qr(gaussian(3, 3, seed=3))[0]
    moved = [5 * x @ rotation + 7 for x in sets]
    assert data_copying(*moved, num_cells=3).value == pytest.approx(data_copying(*sets, num_cells=3).value)


def test_no_cell_with_enough_points_gives_nan_and_says_so():
    outcome = data_copying(gaussian(30, 2), gaussian(30, 2, seed=1), gaussian(30, 2, seed=2), min_population=31)
    assert np.isnan(outcome.value) and outcome.num_cells == 0 and outcome.share == 0.0


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_a_train_set_of_one_image_repeated_is_one_cell():
    outcome = data_copying(np.ones((30, 3)), gaussian(25, 3), np.ones((40, 3)), num_cells=4)
    assert outcome.num_cells == 1 and outcome.value == pytest.approx(-np.sqrt(3 * 30 * 25 / 56))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_cells": 0}, "num_cells is 0"),
        ({"num_cells": 31}, r"with 30 training points it must lie in 1\.\.30"),
        ({"min_population": 0}, "min_population is 0"),
    ],
)
def test_bad_settings_are_refused_with_their_value(settings, message):
    with pytest.raises(RequestError, match=message):
        data_copying(gaussian(30, 2), gaussian(30, 2), gaussian(30, 2), **settings)


def test_the_member_says_how_many_cells_were_tested_and_yields_no_value_without_any():
    def points(num, seed):
        return Points(gaussian(num, 2, seed).astype(np.float32), np.zeros(num, np.int64))

    real, held_out, train, synthetic = points(100, 0), points(90, 1), points(150, 2), points(200, 3)
    values = dict(Ct(num_cells=2).measure(real, held_out, train, synthetic))
    expected = data_copying(synthetic.features[:100], held_out.features, train.features, num_cells=2)
    assert values == {"memorization/ct": expected.value, "memorization/ct_num_cells": 2.0}
    for few in (points(0, 1), points(10, 1)):
        assert dict(Ct(num_cells=2).measure(real, few, train, synthetic)) == {"memorization/ct_num_cells": 0.0}
