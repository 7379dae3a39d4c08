"""Precision, recall, density and coverage: prdc, a naive version, closed forms, invariances, edges."""

import contextlib
import io
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc
from scipy.spatial.distance import cdist

from raycollapse.errors import RequestError
from raycollapse.metrics import Fidelity, Points
from raycollapse.metrics.fidelity import coverage, density, fidelity, precision, recall


def gaussian(num, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(num, dim))


def by_prdc(synthetic, real, k):
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = compute_prdc(real, synthetic, k)
    return tuple(theirs[name] for name in ("precision", "recall", "density", "coverage"))


def naive(synthetic, real, k):
    def radii(points):
        return np.sort(cdist(points, points), axis=1)[:, k]

    def inside(distances, limits):  # nearer than the surface, by more than rounding
        return distances**2 < limits**2 * (1 - 1e-10)

    distances = cdist(synthetic, real)
    in_real = inside(distances, radii(real))
    in_synthetic = inside(distances, radii(synthetic)[:, None])
    return (
        in_real.any(axis=1).mean(),
        in_synthetic.any(axis=0).mean(),
        in_real.sum() / (k * len(synthetic)),
        in_real.any(axis=0).mean(),
    )


@pytest.mark.parametrize(("num", "num_real", "dim", "k"), [(300, 300, 8, 5), (120, 400, 3, 3), (400, 90, 40, 1)])
def test_prdc_agrees(num, num_real, dim, k):
    synthetic, real = 0.8 * gaussian(num, dim) + 0.3, gaussian(num_real, dim, seed=1)
    assert astuple(fidelity(synthetic, real, k)) == pytest.approx(by_prdc(synthetic, real, k), rel=1e-12)


@settings(max_examples=150, deadline=None)
@given(
    num=st.integers(2, 40),
    num_real=st.integers(2, 40),
    dim=st.integers(1, 8),
    k=st.integers(1, 6),
    noise=st.sampled_from([0.0, 1e-9, 1e-3, 1.0]),
    seed=st.integers(0, 2**31),
)
def test_any_small_sets_of_near_copies_agree_with_a_naive_version(num, num_real, dim, k, noise, seed):
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(num_real, dim))
    synthetic = real[rng.integers(num_real, size=num)] + noise * rng.normal(size=(num, dim))
    k = min(k, num - 1, num_real - 1)
    assert astuple(fidelity(synthetic, real, k)) == pytest.approx(naive(synthetic, real, k), rel=1e-12)


def test_each_function_gives_its_part():
    synthetic, real = gaussian(50, 3), gaussian(60, 3, seed=1)
    each = [function(synthetic, real, 4) for function in (precision, recall, density, coverage)]
    assert astuple(fidelity(synthetic, real, 4)) == tuple(each)


def test_a_set_against_itself_scores_one_in_all():
    assert astuple(fidelity(gaussian(200, 5), gaussian(200, 5))) == (1.0, 1.0, 1.0, 1.0)


def test_sets_far_apart_score_zero_in_all():
    assert astuple(fidelity(gaussian(50, 3) + 100, gaussian(50, 3))) == (0.0, 0.0, 0.0, 0.0)


def test_two_draws_of_one_distribution_have_a_density_of_one_and_the_coverage_of_the_paper():
    scores = [fidelity(gaussian(600, 4, seed), gaussian(600, 4, seed + 100)) for seed in range(6)]
    # 600 or 599 draws fall behind the k-th neighbour as likely as before it: the first k of 1,199 are all real
    expected = 1 - np.prod([(599 - i) / (1199 - i) for i in range(5)])
    assert np.mean([s.density for s in scores]) == pytest.approx(1.0, abs=0.03)
    assert np.mean([s.coverage for s in scores]) == pytest.approx(expected, abs=0.01)


def test_dropping_a_mode_costs_recall_and_coverage_but_not_precision():
    real = np.concatenate([gaussian(200, 2), gaussian(200, 2, seed=1) + 50])
    scores = fidelity(gaussian(200, 2), real)
    assert scores.precision == 1.0 and scores.recall == scores.coverage == 0.5


def test_precision_and_recall_change_places_with_the_sets():
    a, b = gaussian(80, 3), 1.5 * gaussian(90, 3, seed=1)
    assert precision(a, b) == recall(b, a) and recall(a, b) == precision(b, a)


def test_order_rotation_shift_and_scale_change_nothing():
    a, b = gaussian(100, 6), 1.3 * gaussian(90, 6, seed=1)
    rotation = np.linalg.qr(gaussian(6, 6, seed=2))[0]
    moved = [np.random.default_rng(3).permutation(7 * points @ rotation + 100) for points in (a, b)]
    assert astuple(fidelity(*moved)) == astuple(fidelity(a, b))


def test_a_point_with_k_duplicates_has_an_empty_ball():
    assert astuple(fidelity(np.ones((9, 2)), np.ones((9, 2)))) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("num", "num_real", "k", "message"),
    [
        (20, 5, 5, r"k is 5; with 5 real points it must lie in 1\.\.4"),
        (5, 20, 5, r"k is 5; with 5 synthetic points"),
        (20, 20, 0, "k is 0"),
        (20, 1, 1, "real has shape"),
    ],
)
def test_bad_input_is_refused_with_its_value(num, num_real, k, message):
    with pytest.raises(RequestError, match=message):
        fidelity(gaussian(num, 3), gaussian(num_real, 3), k)


def test_nan_and_other_widths_are_told_by_name():
    with pytest.raises(RequestError, match="synthetic holds NaN"):
        fidelity(np.full((9, 2), np.nan), gaussian(9, 2))
    with pytest.raises(RequestError, match="synthetic has 3 dimensions and real has 2"):
        fidelity(gaussian(9, 3), gaussian(9, 2))


def test_the_member_measures_as_many_synthetic_points_as_are_real():
    def points(num, seed):
        return Points(gaussian(num, 4, seed).astype(np.float32), np.zeros(num, np.int64))

    real, synthetic = points(40, 0), points(90, 1)
    values = dict(Fidelity(k=3).measure(real, points(0, 2), points(40, 3), synthetic))
    names = ("quality/precision", "diversity/recall", "quality/density", "diversity/coverage")
    assert values == dict(zip(names, astuple(fidelity(synthetic.features[:40], real.features, 3)), strict=True))
