"""Greedy Selection, or farthest-point sampling (arXiv 2509.16499, Alg. 1; Gonzalez 1985)."""

from typing import Any, Literal

import numpy as np

from raycollapse.maths.arrays import Distance, as_points, check_distance, unit_rows
from raycollapse.selection.base import SelectionStrategy
from raycollapse.selection.checks import check_num_select, check_row
from raycollapse.selection.pool import Indices, Pool


def farthest_points(
    features: Any, num_select: int, first: int, *, metric: Distance = "l2", device: str | None = None
) -> Indices:
    """Return (num_select,) indices: `first`, then again and again the point farthest from those chosen so far.

    x_(m+1) = argmax over x of min over chosen y of |x - y|; equally far points go to the lowest index.

    Args:
        features: (n, d) NumPy or torch.
        num_select: 1..n.
        first: the row to start from.
        metric: `l2`, or `cosine` for 1 - cos(x, y).
        device: where to compute.
    """
    check_distance(metric)
    points = as_points(features)
    check_num_select(num_select, len(points))
    check_row(first, len(points), "first")
    x = (unit_rows(points) if metric == "cosine" else points).astype(np.float64)
    gap = np.full(len(x), np.inf)
    chosen = np.empty(num_select, np.int64)
    chosen[0] = first
    for m in range(1, num_select):
        difference = x - x[chosen[m - 1]]
        np.minimum(gap, np.einsum("ij,ij->i", difference, difference), out=gap)
        gap[chosen[m - 1]] = -1.0
        chosen[m] = gap.argmax()
    return chosen


class Greedy(SelectionStrategy):
    """Start from a random candidate, then keep adding the one farthest from those chosen (arXiv 2509.16499, Alg. 1)."""

    name: Literal["greedy"] = "greedy"
    metric: Distance = "l2"
    """The distance between features: `l2`, or `cosine`."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        check_num_select(num_select, len(pool))
        return farthest_points(pool.features, num_select, int(rng.integers(len(pool))), metric=self.metric)
