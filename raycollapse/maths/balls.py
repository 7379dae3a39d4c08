"""Which points lie in which balls: what precision, recall, density and coverage count, without a matrix of all pairs.

Products of float32 in blocks decide nearly every pair; the few that lie within their error of a ball's surface are
computed anew in float64 from differences, so that counts are exact, also where a model copies.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Points, as_points, check_same_width
from raycollapse.maths.neighbours import Frame, product_error

_BLOCK_VALUES = 1 << 22  # products held at once: 16 MiB
_ALL = 3.0  # a radius that holds every point of a frame, in which none is longer than 1
_SURFACE = 1e-10  # squared distances that lie within this share of the squared radius count as on the surface


class Inside(NamedTuple):
    """Who lies in whose ball."""

    balls_of_point: NDArray[np.int64]
    """(m,) how many balls hold each point"""
    points_of_ball: NDArray[np.int64]
    """(n,) how many points each ball holds"""


class _Pairs(NamedTuple):
    points: NDArray[np.int64]
    balls: NDArray[np.int64]


def count_inside(points: Any, centres: Any, radii: Any) -> Inside:
    """Count the pairs with |point - centre| < radius; a point on the surface is outside, and a ball of radius 0 empty.

    Args:
        points: (m, d) NumPy or torch.
        centres: (n, d).
        radii: (n,) of the balls around the centres, >= 0.

    >>> count_inside([[0.0], [2.0]], [[0.5], [5.0]], np.array([1.0, 3.0])).balls_of_point.tolist()
    [1, 0]
    """
    p, c = as_points(points, "points"), as_points(centres, "centres")
    check_same_width(p, c, "points", "centres")
    radii = _checked(radii, len(c))
    inside = Inside(np.zeros(len(p), np.int64), np.zeros(len(c), np.int64))
    frame = Frame.around(p, c)
    placed_p, placed_c = frame.place(p, precise=False), frame.place(c, precise=False)
    limits = np.where(radii > 0, np.minimum(radii / frame.scale, _ALL) ** 2, -np.inf)
    step = max(1, _BLOCK_VALUES // len(c))
    for start in range(0, len(p), step):
        certain, near = _by_products(placed_p[start : start + step], placed_c, limits)
        decided = _by_differences(p[start : start + step], c, near, limits, frame.scale)
        for pairs in (certain, decided):
            np.add.at(inside.balls_of_point, start + pairs.points, 1)
            np.add.at(inside.points_of_ball, pairs.balls, 1)
    return inside


def _checked(radii: Any, num: int) -> NDArray[np.float64]:
    checked: NDArray[np.float64] = np.asarray(radii, np.float64)
    if checked.shape != (num,) or not (checked >= 0).all():
        raise RequestError(f"radii of shape {checked.shape} are given for {num} balls; each needs one, of 0 or more.")
    return checked


def _by_products(points: Points, centres: Points, limits: NDArray[np.float64]) -> tuple[_Pairs, _Pairs]:
    """Return the pairs that certainly lie inside, and those too near the surface to tell.

    |x - c|^2 < r^2 where x.c - (|c|^2 - r^2) / 2 exceeds |x|^2 / 2: one product, and one subtraction in place.
    """
    error = product_error(points) / 2
    excess = points @ centres.T  # (b, n)
    excess -= ((_squares(centres) - limits) / 2).astype(np.float32)
    half = _squares(points) / 2
    rows, columns = np.divmod(np.flatnonzero(excess > (half - error).astype(np.float32)[:, None]), len(centres))
    certain = excess[rows, columns] > half[rows] + error
    return _Pairs(rows[certain], columns[certain]), _Pairs(rows[~certain], columns[~certain])


def _by_differences(
    points: Points, centres: Points, pairs: _Pairs, limits: NDArray[np.float64], scale: float
) -> _Pairs:
    """Return those of the pairs that lie inside, told in float64 from differences."""
    inside = np.empty(len(pairs.points), np.bool_)
    step = max(1, _BLOCK_VALUES // points.shape[1])
    for start in range(0, len(inside), step):
        some, balls = slice(start, start + step), pairs.balls[start : start + step]
        differences = (points[pairs.points[some]].astype(np.float64) - centres[balls]) / scale
        inside[some] = _squares(differences) < limits[balls] * (1 - _SURFACE)
    return _Pairs(pairs.points[inside], pairs.balls[inside])


def _squares(points: NDArray[Any]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", points, points, dtype=np.float64)
    return squares
