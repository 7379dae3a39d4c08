"""Short vectors whose distances never exceed those of the points they stand for.

u(x) holds x's coordinates along p orthonormal axes and the length of what is left of x. Leaving out dimensions never
lengthens a difference, and by the reverse triangle inequality the lengths of two remainders differ by no more than the
remainders do: |u(x) - u(y)| <= |x - y|. Any axes will do; the principal ones leave the least out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raycollapse.maths.arrays import Points

_Array = NDArray[np.float64]

_SAMPLE, _QUERIES = 1024, 256  # points that the axes and p are found from, and those whose neighbours are looked at
_WIDTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256)  # p to choose from
_BLOCK = 4096  # rows converted to float64 at once

# Nanoseconds on one AVX-512 core: a pair of one dimension in a matrix product, and a pair computed from differences.
# They decide the speed only, never a result.
_PRODUCT, _PAIR, _PAIR_PER_DIM = 0.0155, 25.0, 0.2


@dataclass(frozen=True)
class Frame:
    """Where points are moved before products: centred, the farthest at length 1, seen along `axes`."""

    centre: _Array
    """(d,)"""
    scale: float
    axes: _Array | None
    """(d, p) orthonormal; none: every coordinate is kept, because leaving some out would rule out too little"""

    @property
    def width(self) -> int:
        """The length of a short vector."""
        return len(self.centre) if self.axes is None else self.axes.shape[1] + 1

    @property
    def error(self) -> float:
        """A bound on the error of |u|^2 + |v|^2 - 2 u.v in float32, and of rounding u and v, for lengths up to 1."""
        return 4.0 * (self.width + 8) * float(np.finfo(np.float32).eps)

    def place(self, points: Points) -> NDArray[np.float32]:
        """Return the short vectors (n, width) of (n, d) points."""
        placed = (points.astype(np.float64) - self.centre) / self.scale
        return (placed if self.axes is None else _along(placed, self.axes)).astype(np.float32)


def frame_of(points: Points) -> Frame:
    """Return the frame in which neighbours of such points are cheapest to tell apart."""
    centre = points.mean(axis=0, dtype=np.float64)
    scale = np.sqrt(max(float(np.square(block - centre).sum(axis=1).max()) for block in blocks(points))) or 1.0
    sample = (points[:: max(1, len(points) // _SAMPLE)][:_SAMPLE] - centre) / scale
    return Frame(centre, scale, _cheapest_axes(sample) if len(points) >= 4 * _SAMPLE else None)


def blocks(points: Points) -> Iterator[Points]:
    """Yield a few thousand rows at a time."""
    return (points[start : start + _BLOCK] for start in range(0, len(points), _BLOCK))


def _along(points: _Array, axes: _Array) -> _Array:
    along = points @ axes
    left = np.einsum("ij,ij->i", points, points) - np.einsum("ij,ij->i", along, along)
    return np.column_stack([along, np.sqrt(np.maximum(left, 0.0))])


def _cheapest_axes(sample: _Array) -> _Array | None:
    """Return the first p principal axes, p with the least expected work, or none if all coordinates cost less."""
    dim = sample.shape[1]
    axes = _principal_axes(sample, max(_WIDTHS))
    nearest = _squared(sample[:_QUERIES], sample)
    np.fill_diagonal(nearest, np.inf)
    bound = nearest.min(axis=1, keepdims=True)
    costs: dict[int | None, float] = {None: _PRODUCT * dim}
    for width in (width for width in _WIDTHS if width + 1 < dim):
        short = _along(sample, axes[:, :width])
        undecided = float((_squared(short[:_QUERIES], short) < bound).mean())
        costs[width] = _PRODUCT * (width + 1) + undecided * (_PAIR + _PAIR_PER_DIM * dim)
    best = min(costs, key=costs.__getitem__)
    return None if best is None else np.ascontiguousarray(axes[:, :best])


def _principal_axes(sample: _Array, num: int) -> _Array:
    """Return (d, num) orthonormal columns close to the leading principal axes, by subspace iteration."""
    axes: NDArray[Any] = np.random.default_rng(0).normal(size=(sample.shape[1], min(num, sample.shape[1])))
    for _ in range(3):
        axes = np.linalg.qr(sample.T @ (sample @ axes))[0]
    spread = sample @ axes
    turn = np.linalg.eigh(spread.T @ spread)[1][:, ::-1]
    return np.linalg.qr(axes @ turn)[0]


def _squared(a: _Array, b: _Array) -> _Array:
    squared: _Array = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * (a @ b.T)
    return squared
