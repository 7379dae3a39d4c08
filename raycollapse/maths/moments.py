"""Mean and covariance in float64, which merge: the moments of shards add up to the moments of the whole."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import as_points

_BLOCK = 4096  # rows converted to float64 at once


@dataclass(frozen=True)
class Moments:
    """The first two moments of a set of points."""

    num: int
    """How many points."""
    mean: NDArray[np.float64]
    """(d,)"""
    scatter: NDArray[np.float64]
    """(d, d), the sum of (x - mean)(x - mean)^T"""

    @staticmethod
    def of(features: Any) -> "Moments":
        """Return the moments of (n, d) points, block by block, so that no float64 copy of them is made."""
        points = as_points(features)
        blocks = (points[start : start + _BLOCK] for start in range(0, len(points), _BLOCK))
        moments = _of_block(next(blocks).astype(np.float64))
        for block in blocks:
            moments = moments.merge(_of_block(block.astype(np.float64)))
        return moments

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both sets together.

        scatter = scatter_a + scatter_b + (n_a n_b / n) delta delta^T with delta = mean_b - mean_a (Chan, Golub and
        LeVeque 1983): unlike sums of squares, nothing large cancels.
        """
        if self.mean.shape != other.mean.shape:
            raise RequestError(f"moments of {len(self.mean)} and {len(other.mean)} dimensions cannot be merged.")
        num = self.num + other.num
        delta = other.mean - self.mean
        between = np.outer(delta, delta) * (self.num * other.num / num)
        return Moments(num, self.mean + delta * (other.num / num), self.scatter + other.scatter + between)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(d, d), unbiased: the scatter over n - 1."""
        self._check_spread()
        return self.scatter / (self.num - 1)

    @property
    def covariance_trace(self) -> float:
        """The sum of the variances of all dimensions, in squared units of the features."""
        self._check_spread()
        return float(np.trace(self.scatter)) / (self.num - 1)

    def _check_spread(self) -> None:
        if self.num < 2:
            raise RequestError(f"a covariance needs at least 2 points, and there is {self.num}.")


def covariance_trace(features: Any) -> float:
    """Return the trace of the covariance of (n, d) points, without the covariance."""
    points = as_points(features, minimum=2)
    return float(points.var(axis=0, ddof=1, dtype=np.float64).sum())


def _of_block(block: NDArray[np.float64]) -> Moments:
    mean = block.mean(axis=0)
    centred = block - mean
    return Moments(len(block), mean, centred.T @ centred)
