"""Short vectors whose distances never exceed those of the points they stand for.

u(x) holds x's coordinates along p orthonormal axes and the length of what is left of x. Leaving out dimensions never
lengthens a difference, and by the reverse triangle inequality the lengths of two remainders differ by no more than the
remainders do: |u(x) - u(y)| <= |x - y|. Any axes will do; the principal ones leave the least out.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raycollapse.maths.arrays import Points

_SAMPLE, _QUERIES = 512, 128  # points that the axes and p are found from, and those whose neighbours are looked at
_WIDTHS = (16, 24, 32, 48, 64, 96, 128, 192)  # p to choose from
_BLOCK = 1 << 18  # values converted to float64 at once: 2 MiB

# Nanoseconds on one AVX-512 core: a pair in a matrix product, per dimension; a pair computed from differences, and per
# dimension; finding short vectors and axes, per value of the points and of the sample. They decide the speed only.
_PRODUCT, _PAIR, _PAIR_PER_DIM, _SHORTEN, _FIND_AXES = 0.0155, 25.0, 0.2, 20.0, 60.0


class ShortVectors(NamedTuple):
    """What stands for a set of points in matrix products."""

    centre: NDArray[np.float64]
    """(d,) the points' mean, subtracted so that products cancel less"""
    vectors: NDArray[np.float32] | None
    """(n, p + 1); none where leaving dimensions out would not pay: then the centred points themselves are used"""
    error: float
    """A bound on the error of |u|^2 + |v|^2 - 2 u.v in float32, and of rounding u and v."""


def short_vectors(points: Points, num_columns: int) -> ShortVectors:
    """Return the short vectors with which finding neighbours among up to `num_columns` of the points costs least."""
    centre = points.mean(axis=0, dtype=np.float64)
    axes = _cheapest_axes(points, centre) if _may_pay(points, num_columns) else None
    if axes is None:
        radius = max(float(_square(block).max()) for _, block in _centred(points, centre))
        return ShortVectors(centre, None, _error(points.shape[1], radius))
    vectors = np.empty((len(points), axes.shape[1] + 1), np.float32)
    for part, block in _centred(points, centre):
        vectors[part] = _along(block, axes)
    return ShortVectors(centre, vectors, _error(vectors.shape[1], float(_square(vectors).max())))


def _may_pay(points: Points, num_columns: int) -> bool:
    """Return whether full products, of about half of all pairs, would cost more than finding short vectors."""
    num, dim = points.shape
    full = _PRODUCT * num * num_columns / 2
    return bool(num > _SAMPLE and dim > min(_WIDTHS) and full > _SHORTEN * num + _FIND_AXES * _SAMPLE)


def _error(width: int, radius_squared: float) -> float:
    """Twice the worst case (w + 8) eps / 2 (|u| + |v|)^2 of the sums and roundings."""
    return 4.0 * (width + 8) * float(np.finfo(np.float32).eps) * radius_squared


def _centred(points: Points, centre: NDArray[np.float64]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    step = max(1, _BLOCK // points.shape[1])
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        yield part, points[part] - centre


def _along(points: NDArray[Any], axes: NDArray[Any]) -> NDArray[Any]:
    along = points @ axes
    left = _square(points) - _square(along)
    return np.column_stack([along, np.sqrt(np.maximum(left, 0.0))])


def _square(points: NDArray[Any]) -> NDArray[Any]:
    """Return the squared length of every row."""
    squares: NDArray[Any] = np.einsum("ij,ij->i", points, points)
    return squares


def _cheapest_axes(points: Points, centre: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return (d, p) principal axes for the p with the least expected work, or none if all coordinates cost less."""
    sample = points[:: len(points) // _SAMPLE][:_SAMPLE] - centre.astype(points.dtype)
    sample = sample.astype(np.float32, copy=False)
    dim = sample.shape[1]
    axes = _principal_axes(sample)
    nearest = _pairwise(sample[:_QUERIES], sample)
    np.fill_diagonal(nearest, np.inf)
    bound = nearest.min(axis=1, keepdims=True)
    costs: dict[int | None, float] = {None: _PRODUCT * dim}
    for width in (width for width in _WIDTHS if width + 1 < dim):
        short = _along(sample, axes[:, :width])
        undecided = float((_pairwise(short[:_QUERIES], short) < bound).mean())
        costs[width] = _PRODUCT * (width + 1) + undecided * (_PAIR + _PAIR_PER_DIM * dim)
    best = min(costs, key=costs.__getitem__)
    return None if best is None else _orthonormal(axes[:, :best].astype(np.float64))


def _principal_axes(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (d, p) nearly orthonormal columns near the leading principal axes, by subspace iteration."""
    num = min(max(_WIDTHS), sample.shape[1])
    axes = np.random.default_rng(0).normal(size=(sample.shape[1], num)).astype(np.float32)
    for _ in range(2):
        axes = _orthonormal(sample.T @ (sample @ axes))
    spread = sample @ axes
    turn = np.linalg.eigh(spread.T @ spread)[1][:, ::-1]
    turned: NDArray[np.float32] = axes @ turn
    return turned


def _orthonormal(columns: NDArray[Any]) -> NDArray[Any]:
    return np.linalg.qr(columns)[0]


def _pairwise(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    squared: NDArray[np.float32] = _square(a)[:, None] + _square(b) - 2 * (a @ b.T)
    return squared
