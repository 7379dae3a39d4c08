"""Picks that follow the reference's mean and covariance, against the objective they are to minimise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycollapse.errors import RequestError
from raycollapse.selection import CovarianceMatching, Pool
from raycollapse.selection.covariance_matching import match_covariance

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def objective(chosen: Array, reference: Array) -> float:
    """J: how far the mean and the covariance (about the reference's mean) of the chosen are from the reference's."""
    mean = reference.mean(axis=0)
    wanted = np.cov(reference.T, bias=True).reshape(reference.shape[1], -1)
    centred = chosen - mean
    spread = centred.T @ centred / len(chosen)
    return float(((spread - wanted) ** 2).sum() + np.trace(wanted) * (centred.mean(axis=0) ** 2).sum())


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(1, 4))
def test_every_pick_lowers_the_objective_as_far_as_one_can(seed: int, num: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    points, reference = rng.normal(size=(num, dim)) + 1, rng.normal(size=(int(rng.integers(1, 20)), dim)) * 2
    picks = match_covariance(points, int(rng.integers(1, num + 1)), reference).tolist()
    assert len(set(picks)) == len(picks)
    for m, pick in enumerate(picks):
        left = [row for row in range(num) if row not in picks[:m]]
        values = {row: objective(points[[*picks[:m], row]], reference) for row in left}
        assert values[pick] <= min(values.values()) + 1e-9 * (1 + values[pick])


def test_of_a_cross_and_an_outlier_the_cross_is_kept() -> None:
    """C = I / 2. After e_1, J is 1/2 with e_2 and with -e_1, so the lower index wins; with all four it is 0."""
    cross = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    points = np.concatenate([[[3.0, 0.0]], cross])
    assert match_covariance(points, 4, cross).tolist() == [1, 2, 3, 4]
    assert objective(points[[1, 2]], cross) == objective(points[[1, 3]], cross) == 0.5
    assert objective(cross, cross) == 0


def test_one_pick_is_the_best_single_point() -> None:
    rng = np.random.default_rng(0)
    points, reference = rng.normal(size=(300, 5)), rng.normal(size=(200, 5))
    values = [objective(point[None], reference) for point in points]
    assert match_covariance(points, 1, reference).tolist() == [int(np.argmin(values))]


def test_all_points_can_be_picked() -> None:
    points = np.random.default_rng(0).normal(size=(20, 3))
    assert sorted(match_covariance(points, 20, points).tolist()) == list(range(20))


def test_moments_come_nearer_to_the_reference_than_any_even_draws_do() -> None:
    """The candidates are narrower than the reference along one half of the axes and beside it, as collapse has it."""
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(1000, 8))
    points = (rng.normal(size=(1200, 8)) * np.repeat([1.0, 0.7], 4) + 0.2).astype(np.float32)

    def gaps(rows: Array) -> Array:
        covariance = np.linalg.norm(np.cov(points[rows].T) - np.cov(reference.T))
        return np.array([covariance, np.linalg.norm(points[rows].mean(axis=0) - reference.mean(axis=0))])

    drawn = np.min([gaps(rng.choice(1200, 200, replace=False)) for _ in range(50)], axis=0)
    assert (gaps(match_covariance(points, 200, reference)) < 0.5 * drawn).all()


def test_a_rotation_a_shift_and_a_scale_change_nothing_and_a_permutation_permutes() -> None:
    rng = np.random.default_rng(0)
    points, reference, order = rng.normal(size=(300, 6)), rng.normal(size=(100, 6)) * 1.5, rng.permutation(300)
    picks = match_covariance(points, 100, reference).tolist()
    rotation, shift = np.linalg.qr(rng.normal(size=(6, 6)))[0], rng.normal(size=6)
    moved = [3.0 * p @ rotation + shift for p in (points, reference)]
    assert match_covariance(moved[0], 100, moved[1]).tolist() == picks
    assert match_covariance(points, 100, reference[::-1]).tolist() == picks
    assert order[match_covariance(points[order], 100, reference)].tolist() == picks


def test_features_far_from_zero_lose_no_digits() -> None:
    rng = np.random.default_rng(0)
    points, reference = (np.round(rng.normal(size=(n, 6)) * 1024).astype(np.float32) / 1024 for n in (300, 100))
    near, far = (match_covariance(points + s, 100, reference + s).tolist() for s in (np.float32(0), np.float32(4096)))
    assert near == far


def test_hardly_any_size_overflows() -> None:
    rng = np.random.default_rng(0)
    points, reference = rng.normal(size=(100, 4)).astype(np.float32), rng.normal(size=(50, 4)).astype(np.float32)
    picks = match_covariance(points, 30, reference).tolist()
    for scale in (2.0**100, 2.0**-100):
        assert match_covariance(points * np.float32(scale), 30, reference * np.float32(scale)).tolist() == picks


def test_equal_points_are_picked_in_their_order() -> None:
    assert match_covariance(np.ones((6, 3)), 4, np.eye(3)).tolist() == [0, 1, 2, 3]
    assert match_covariance(np.ones((6, 3)), 4, np.ones((2, 3))).tolist() == [0, 1, 2, 3]


def test_a_reference_of_one_point_draws_what_is_nearest_to_it() -> None:
    assert match_covariance([[5.0], [1.0], [2.5]], 2, [[2.0]]).tolist() == [2, 1]


def test_float16_is_chosen_from_as_float32() -> None:
    half = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float16)
    small, large = (match_covariance(p, 20, p[:30]).tolist() for p in (half, half.astype(np.float32)))
    assert small == large


@pytest.mark.parametrize(
    ("points", "num_select", "reference", "said"),
    [
        (np.ones((3, 2)), 4, np.ones((3, 2)), "num_select is 4"),
        (np.ones((3, 2)), 0, np.ones((3, 2)), "num_select is 0"),
        (np.ones((3, 2)), 2, np.ones((3, 4)), "features has 2 dimensions and reference has 4"),
        (np.ones((3, 2)), 2, np.ones((0, 2)), "reference has shape"),
        (np.full((3, 2), np.nan), 2, np.ones((3, 2)), "features holds NaN"),
        (np.ones((3, 2)), 2, np.full((3, 2), np.inf), "reference holds NaN or inf"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(points: Array, num_select: int, reference: Array, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        match_covariance(points, num_select, reference)


def test_the_strategy_follows_the_real_features_and_not_the_pools() -> None:
    rng = np.random.default_rng(0)
    features, real = (rng.normal(size=(n, 3)).astype(np.float32) for n in (80, 50))
    sources = np.stack([np.ones(80), np.arange(80)], axis=1).astype(np.int64)
    picks = CovarianceMatching().select(Pool(sources, features, lambda: real), 20, rng)
    assert picks.tolist() == match_covariance(features, 20, real).tolist()
    assert picks.tolist() != match_covariance(features, 20, features).tolist()


def test_a_pool_without_the_real_features_says_how_to_get_them() -> None:
    pool = Pool(np.zeros((4, 2), np.int64), np.zeros((4, 1), np.float32))
    with pytest.raises(RequestError, match="needs_real = True"):
        CovarianceMatching().select(pool, 2, np.random.default_rng(0))
