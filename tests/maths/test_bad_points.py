"""What the maths does with input that is wrong, odd or at the edge."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import as_points
from raycollapse.maths.balls import count_inside
from raycollapse.maths.moments import Moments, covariance_trace
from raycollapse.maths.neighbours import nearest
from raycollapse.maths.scalars import as_integer, as_number

N, D = 20, 3
POINTS = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
LARGEST = float(np.finfo(np.float32).max)


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "as_points": as_points,
    "queries": lambda x: nearest(x, POINTS, 1),
    "references": lambda x: nearest(POINTS, x, 1),
    "points": lambda x: count_inside(x, POINTS, np.ones(N)),
    "centres": lambda x: count_inside(POINTS, x, np.ones(N)),
    "Moments": Moments.of,
    "covariance_trace": covariance_trace,
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=list(FUNCTIONS))
@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, D)), r"has shape \(0, 3\)"), (np.zeros((N, 0)), r"has shape \(20, 0\)"),
        (POINTS[0], r"has shape \(3,\); it must be \(n, d\)"), (None, r"type object; real numbers are needed"),
        (np.where(POINTS > 1.5, np.nan, POINTS), "holds NaN or infinity"),
        (np.where(POINTS > 1.5, -np.inf, POINTS), "holds NaN or infinity"),
        ([[1.0, 2.0], [3.0]], "rows differ in length"), (POINTS + 1j, "real numbers are needed"),
        (POINTS.astype(np.float64) * 1e90, "range of float64"), (POINTS.astype(np.float64) * 1e-90, "range of float64"),
    ],
)  # fmt: skip
def test_what_are_no_points_is_refused(function: Callable[[Any], Any], points: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        function(points)


@pytest.mark.parametrize("row", [0, N // 2, N - 1])
def test_rows_that_are_not_finite_are_counted_and_the_first_is_named(row: int) -> None:
    points = POINTS.copy()
    points[row, 0], points[N - 1, 2] = np.inf, -np.inf  # which would cancel in a sum to NaN
    num = len({row, N - 1})
    with pytest.raises(RequestError, match=f"in {num} of {N} rows, first in row {row}"):
        as_points(points)


def test_points_are_not_copied_where_they_need_not_be() -> None:
    assert as_points(POINTS) is POINTS or np.shares_memory(as_points(POINTS), POINTS)
    wide = POINTS.astype(np.float64)
    assert np.shares_memory(as_points(wide), wide)


@pytest.mark.parametrize(
    ("scale", "kind"),
    [(1.0, np.float32), (1e14, np.float32), (1e-14, np.float32), (1e20, np.float64), (1e-20, np.float64)],
)
def test_float32_becomes_float64_where_its_squares_would_not_fit(scale: float, kind: Any) -> None:
    points = as_points(POINTS * np.float32(scale))
    assert points.dtype == kind
    np.testing.assert_array_equal(points, POINTS * np.float32(scale))


def test_one_row_of_negative_stride_is_taken_by_torch() -> None:
    torch.from_numpy(as_points(POINTS[::-1][:1]))


@pytest.mark.parametrize("scale", [LARGEST / 4, 1e-37])
def test_distances_between_the_largest_and_the_smallest_float32_are_right(scale: float) -> None:
    points = (POINTS / np.abs(POINTS).max() * np.float32(scale)).astype(np.float32)
    unscaled = points.astype(np.float64) / scale
    expected = nearest(unscaled, unscaled, 2, exclude_self=True)
    found = nearest(points, points, 2, exclude_self=True)
    np.testing.assert_allclose(found.distances, expected.distances * scale, rtol=1e-9)
    radii = 1.01 * expected.distances[:, 1]  # no point on a surface
    inside, of_scaled = count_inside(unscaled, unscaled, radii), count_inside(points, points, radii * scale)
    assert inside.balls_of_point.tolist() == of_scaled.balls_of_point.tolist()


def test_sets_of_very_different_size_are_compared() -> None:
    huge = (POINTS / np.abs(POINTS).max() * np.float32(LARGEST)).astype(np.float32)
    for queries, references in ((huge, POINTS), (POINTS, huge)):
        gap = np.linalg.norm(queries[:, None].astype(np.float64) - references[None].astype(np.float64), axis=2)
        np.testing.assert_allclose(nearest(queries, references, 3).distances, np.sort(gap, axis=1)[:, :3], rtol=1e-9)
        radii = np.full(N, 0.7 * LARGEST)
        assert count_inside(queries, references, radii).balls_of_point.tolist() == (gap < radii).sum(axis=1).tolist()


def test_balls_larger_than_everything_hold_everything() -> None:
    for points in (POINTS, POINTS * np.float32(1e-30)):
        assert (count_inside(points, points, np.full(N, 1e10)).balls_of_point == N).all()
        assert (count_inside(points, points, np.full(N, np.inf)).points_of_ball == N).all()
    assert count_inside(POINTS, POINTS, [0.0] * N).balls_of_point.tolist() == [0] * N  # a list will do


@pytest.mark.parametrize("radii", [np.full(N, np.nan), np.full(N, -1.0), np.ones(N - 1), np.ones((N, 1)), 1.0])
def test_radii_that_are_none_are_refused(radii: Any) -> None:
    with pytest.raises(RequestError, match="each needs one, of 0 or more"):
        count_inside(POINTS, POINTS, radii)


@pytest.mark.parametrize("k", [0, -1, N + 1, 1.0, 2.5, None, "2", True])
def test_a_k_that_is_none_is_refused(k: Any) -> None:
    with pytest.raises(RequestError, match=rf"k is {k!r}|k is {k}"):
        nearest(POINTS, POINTS, k)
    with pytest.raises(RequestError, match="k is"):
        nearest(POINTS[:1], POINTS[:1], 1, exclude_self=True)


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.uint64])
def test_numpy_integers_are_integers(kind: Any) -> None:
    np.testing.assert_array_equal(nearest(POINTS, POINTS, kind(3)).indices, nearest(POINTS, POINTS, 3).indices)


def test_one_point_is_its_own_neighbour_and_has_no_covariance() -> None:
    assert nearest(POINTS[:1], POINTS[:1], 1).distances.tolist() == [[0.0]]
    for refused in (lambda: Moments.of(POINTS[:1]).covariance, lambda: covariance_trace(POINTS[:1])):
        with pytest.raises(RequestError, match=r"at least 2 point"):
            refused()


def test_moments_of_points_all_equal_are_theirs_exactly() -> None:
    moments = Moments.of(np.full((9000, D), 7.25, np.float16))
    assert (moments.mean == 7.25).all() and (moments.covariance == 0).all()


@pytest.mark.parametrize("kind", [np.float16, np.uint8, np.int64, np.bool_, ">f8"])
def test_moments_are_of_the_values_whatever_their_type(kind: Any) -> None:
    points = np.abs(POINTS * 50).astype(kind)
    np.testing.assert_allclose(Moments.of(points).covariance, np.cov(points.astype(float).T))


@pytest.mark.parametrize("value", [1.5, None, "1", True, [1], np.array([1, 2])])
def test_what_is_no_integer_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match=r"k is .*; it must be an integer"):
        as_integer(value, "k")


@pytest.mark.parametrize("value", [None, "1", False, [1.0], 1j])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match=r"decay is .*; it must be a number"):
        as_number(value, "decay")


def test_numbers_are_numbers_whoever_made_them() -> None:
    assert [as_number(value, "decay") for value in (1, 1.5, np.float32(0.5), np.int64(3))] == [1.0, 1.5, 0.5, 3.0]
