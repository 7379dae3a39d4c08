"""How many different things a set holds: the Vendi score (Friedman and Dieng 2023)."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Points as Rows
from raycollapse.maths.arrays import as_points
from raycollapse.metrics.base import Metric, Points

_BLOCK = 4096  # rows converted to float64 at once


def vendi_score(features: Any) -> float:
    """Return exp(-sum_i l_i log l_i), the l_i being the eigenvalues of K / n with K_ij = cos(x_i, x_j).

    An effective number of distinct points: 1 where all have the same direction, n where all are orthogonal; at most
    min(n, d). K / n = X X^T / n has the non-zero eigenvalues of the (d, d) moment matrix X^T X / n: the smaller of the
    two is decomposed, in float64.

    Args:
        features: (n, d) NumPy or torch, without zero vectors; scaled to length 1 here.
    """
    points = as_points(features)
    lengths = _lengths(points)
    num, dim = points.shape
    matrix = _gram(points, lengths) if num < dim else _moments(points, lengths)
    shares = np.linalg.eigvalsh(matrix / num)
    shares = shares[shares > 0]  # rounding makes some zeros negative
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _lengths(points: Rows) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", points, points, dtype=np.float64))
    zero = np.flatnonzero(lengths == 0)
    if len(zero):
        raise RequestError(
            f"features holds {len(zero)} zero vector(s), first in row {zero[0]}; the Vendi score compares directions, "
            "and they have none. Remove those rows, or measure in another feature space."
        )
    return lengths


def _gram(points: Rows, lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    unit = points / lengths[:, None]
    gram: NDArray[np.float64] = unit @ unit.T
    return gram


def _moments(points: Rows, lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (d, d) sum of x x^T over unit vectors, block by block, so that no float64 copy of all is made."""
    moments = np.zeros((points.shape[1], points.shape[1]))
    for start in range(0, len(points), _BLOCK):
        block = slice(start, start + _BLOCK)
        unit = points[block] / lengths[block, None]
        moments += unit.T @ unit
    return moments


class Vendi(Metric):
    """Vendi score of the train set and of the synthetic set, N points each; a zero vector among them is refused."""

    value_names: ClassVar[tuple[str, ...]] = ("diversity/vendi_train_set", "diversity/vendi_synthetic")

    name: Literal["vendi"] = "vendi"

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        num = len(real)
        for label, points in (("train_set", train_set.first(num)), ("synthetic", synthetic.first(num))):
            yield f"diversity/vendi_{label}", vendi_score(points.features)
