"""Copies told from new samples: naive versions, closed forms, invariances, scikit-learn, edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from raycollapse.errors import RequestError
from raycollapse.metrics import Authenticity, DuplicatesMetric, GeneralizationRatio, Points
from raycollapse.metrics.generalization import generalization_score
from raycollapse.metrics.memorization import authenticity, auto_threshold, duplicates, generalization_ratio


def gaussian(num, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(num, dim))


def points(num, seed):
    return Points(gaussian(num, 4, seed).astype(np.float32), np.zeros(num, np.int64))


REAL, HELD_OUT, NONE_HELD_OUT, TRAIN, SYNTHETIC = (
    points(40, 0),
    points(60, 1),
    points(0, 1),
    points(80, 3),
    points(90, 2),
)


def measured(metric, held_out=HELD_OUT):
    return dict(metric.measure(REAL, held_out, TRAIN, SYNTHETIC))


def near_copies(num, num_train, dim, noise, seed):
    rng = np.random.default_rng(seed)
    train = rng.normal(size=(num_train, dim))
    return train[rng.integers(num_train, size=num)] + noise * rng.normal(size=(num, dim)), train


small_sets = {
    "num": st.integers(1, 30),
    "num_train": st.integers(2, 30),
    "dim": st.integers(1, 8),
    "noise": st.sampled_from([0.0, 1e-9, 1e-3, 1.0]),
    "seed": st.integers(0, 2**31),
}


# Generalization ratio


def test_the_ratio_is_that_of_two_scores_by_scikit_learn():
    synthetic, held_out, train = gaussian(50, 6), gaussian(70, 6, seed=1), gaussian(90, 6, seed=2)
    trained = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(train)
    expected = trained.kneighbors(synthetic)[0].mean() / trained.kneighbors(held_out)[0].mean()
    assert generalization_ratio(synthetic, held_out, train) == pytest.approx(expected, rel=1e-9)


def test_new_draws_have_a_ratio_of_one_and_copies_of_zero():
    train = gaussian(400, 8)
    ratios = [generalization_ratio(gaussian(400, 8, s), gaussian(400, 8, s + 50), train) for s in range(1, 9)]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)
    assert generalization_ratio(train[:50], gaussian(400, 8, seed=1), train) == 0.0


def test_on_a_grid_the_ratio_is_that_of_the_offsets():
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    assert generalization_ratio(grid + np.array([0.1, 0.0]), grid + np.array([0.0, 0.4]), grid) == pytest.approx(0.25)


def test_rotating_shifting_and_scaling_all_change_no_measure():
    sets = [0.7 * gaussian(60, 5), gaussian(50, 5, seed=1), gaussian(70, 5, seed=2)]
    rotation = np.linalg.qr(gaussian(5, 5, seed=3))[0]
    moved = [9 * x[::-1] @ rotation + 4 for x in sets]
    assert generalization_ratio(*moved) == pytest.approx(generalization_ratio(*sets))
    assert authenticity(moved[0], moved[2]) == authenticity(sets[0], sets[2])
    assert duplicates(moved[0], moved[2]).share == duplicates(sets[0], sets[2]).share
    assert auto_threshold(moved[2]) == pytest.approx(9 * auto_threshold(sets[2]))


def test_the_cosine_is_half_the_square_of_the_distance_of_directions():
    synthetic, held_out, train = (gaussian(n, 5, seed=n) for n in (60, 50, 70))
    directions = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (synthetic, held_out, train)]
    of_new, of_held_out = (cdist(x, directions[2]).min(axis=1) ** 2 / 2 for x in directions[:2])
    ratio = generalization_ratio(synthetic, held_out, train, metric="cosine")
    assert ratio == pytest.approx(of_new.mean() / of_held_out.mean())
    assert authenticity(synthetic, train, metric="cosine") == authenticity(directions[0], directions[2])
    threshold = auto_threshold(directions[2]) ** 2 / 2
    # the quantile lies between two distances, whose squares it does not divide alike
    assert auto_threshold(train, "cosine") == pytest.approx(threshold, rel=0.1)
    assert duplicates(synthetic, train, 0.05, metric="cosine").share == (of_new <= 0.05).mean() > 0


def test_held_out_points_that_were_trained_on_are_refused():
    train = gaussian(20, 3)
    with pytest.raises(RequestError, match="all 5 held-out points are in the train set"):
        generalization_ratio(gaussian(9, 3, seed=1), train[:5], train)


def test_the_ratio_uses_the_whole_train_set_and_says_how_many_are_held_out():
    expected = generalization_ratio(SYNTHETIC.features[:40], HELD_OUT.features[:40], TRAIN.features)
    values = measured(GeneralizationRatio())
    assert values["memorization/generalization_ratio"] == expected
    assert values["memorization/generalization_ratio_num_held_out"] == 40
    assert expected == generalization_score(SYNTHETIC.features[:40], TRAIN.features) / generalization_score(
        HELD_OUT.features[:40], TRAIN.features
    )
    assert measured(GeneralizationRatio(), NONE_HELD_OUT) == {"memorization/generalization_ratio_num_held_out": 0.0}


# Authenticity


@settings(max_examples=150, deadline=None)
@given(**small_sets)
def test_authenticity_agrees_with_a_naive_version(num, num_train, dim, noise, seed):
    synthetic, train = near_copies(num, num_train, dim, noise, seed)
    among = cdist(train, train)
    np.fill_diagonal(among, np.inf)
    authentic = 0
    for distances in cdist(synthetic, train):
        closest = int(distances.argmin())
        authentic += distances[closest] > among[closest].min()
    assert authenticity(synthetic, train) == pytest.approx(authentic / num)


@pytest.mark.parametrize(("dim", "mutual"), [(1, 2 / 3), (2, 6 * np.pi / (8 * np.pi + 3 * np.sqrt(3))), (3, 16 / 27)])
def test_new_draws_are_as_authentic_as_nearest_neighbours_are_not_mutual(dim, mutual):
    # a draw is not authentic if and only if it and its nearest training point are each other's nearest: the shares of
    # such points in a Poisson process are known (Clark and Evans 1955; Cox 1981); the cube's edges are kept away from
    rng = np.random.default_rng(0)
    share = np.mean([authenticity(rng.uniform(0.3, 0.7, (200, dim)), rng.random((2000, dim))) for _ in range(10)])
    deviation = np.sqrt(mutual * (1 - mutual) / 2000)
    assert abs(share - (1 - mutual)) < 4 * deviation


def test_copies_are_not_authentic_even_of_duplicates():
    train = np.repeat(gaussian(10, 3), 2, axis=0)
    assert authenticity(train[:5], train) == 0.0


def test_samples_far_away_are_authentic():
    assert authenticity(gaussian(10, 3) + 100, gaussian(20, 3)) == 1.0


def test_authenticity_is_compared_with_that_of_held_out_points():
    values = measured(Authenticity())
    assert values == {
        "memorization/authenticity": authenticity(SYNTHETIC.features[:40], TRAIN.features),
        "memorization/authenticity_held_out": authenticity(HELD_OUT.features[:40], TRAIN.features),
    }
    assert list(measured(Authenticity(), NONE_HELD_OUT)) == ["memorization/authenticity"]


def test_one_training_point_has_no_nearest_other():
    with pytest.raises(RequestError, match="train has shape"):
        authenticity(gaussian(5, 3), gaussian(1, 3))


# Duplicates


@settings(max_examples=100, deadline=None)
@given(**small_sets)
def test_duplicates_agree_with_a_naive_version(num, num_train, dim, noise, seed):
    synthetic, train = near_copies(num, num_train, dim, noise, seed)
    among = cdist(train, train)
    np.fill_diagonal(among, np.inf)
    threshold = np.quantile(among.min(axis=1), 0.01)
    found = duplicates(synthetic, train)
    assert found.threshold == pytest.approx(threshold, rel=1e-9)
    assert found.share == (cdist(synthetic, train).min(axis=1) <= threshold).mean()


def test_new_draws_are_duplicates_about_as_often_as_the_quantile_says():
    rng = np.random.default_rng(0)
    shares = [duplicates(rng.random((2000, 2)), rng.random((2000, 2))).share for _ in range(10)]
    assert np.mean(shares) == pytest.approx(0.01, abs=0.003)


def test_a_threshold_of_zero_counts_exact_copies():
    train = gaussian(20, 3)
    found = duplicates(np.concatenate([train[:3], train[:1] + 1e-6]), train, threshold=0)
    assert found.share == 0.75 and found.threshold == 0.0


def test_on_a_grid_a_sample_within_the_threshold_is_a_duplicate():
    grid = np.arange(10.0)[:, None]
    assert duplicates(grid + 0.25, grid, threshold=0.25).share == 1.0
    assert duplicates(grid + 0.25, grid, threshold=0.24).share == 0.0
    assert duplicates(grid + 0.25, grid).threshold == 1.0


@pytest.mark.parametrize("threshold", [-1.0, float("nan"), float("inf")])
def test_another_threshold_is_refused(threshold):
    with pytest.raises(RequestError, match=f"threshold is {threshold}"):
        duplicates(gaussian(5, 3), gaussian(5, 3), threshold)


def test_held_out_duplicates_are_found_by_the_same_threshold():
    values = measured(DuplicatesMetric())
    threshold = auto_threshold(TRAIN.features)
    assert values["memorization/duplicates_threshold"] == threshold
    assert values["memorization/duplicates"] == duplicates(SYNTHETIC.features[:40], TRAIN.features).share
    fresh = duplicates(HELD_OUT.features[:40], TRAIN.features, threshold).share
    assert values["memorization/duplicates_held_out"] == fresh
    assert "memorization/duplicates_held_out" not in measured(DuplicatesMetric(), NONE_HELD_OUT)
    assert measured(DuplicatesMetric(threshold=100))["memorization/duplicates"] == 1.0
