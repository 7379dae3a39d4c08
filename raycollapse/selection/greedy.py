"""Greedy Selection, or farthest-point sampling (arXiv 2509.16499, Alg. 1; Gonzalez 1985), exact and lazy.

The candidates with the largest bounds look at the points chosen since they last did; while the best of them beats every
bound outside, it is the farthest point of all. Between two looks only those few are compared with each other.
"""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from raycollapse.maths.arrays import Distance
from raycollapse.selection.base import SelectionStrategy
from raycollapse.selection.checks import check_num_select, check_row
from raycollapse.selection.geometry import Geometry
from raycollapse.selection.pool import Indices, Pool

if TYPE_CHECKING:
    from torch import Tensor

    from raycollapse.selection.lazy import Nearest

_SMALLEST_BATCH, _LARGEST_BATCH = 256, 2048


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
        device: where to compute (`cpu`, `cuda`, `cuda:1`, ...); none: the CPU.

    >>> farthest_points([[0.0], [1.0], [3.0], [10.0]], num_select=3, first=0).tolist()
    [0, 3, 2]
    """
    from raycollapse.maths.screening import Screen  # imports torch, which a configuration need not wait for
    from raycollapse.selection.lazy import Nearest

    points = Geometry.of(features, metric).points
    check_num_select(num_select, len(points))
    check_row(first, len(points), "first")
    nearest = Nearest(Screen(points, num_select, device), num_select)
    nearest.choose(nearest.tensor(np.array([first])))
    batch = int(np.clip(len(points) // 16, _SMALLEST_BATCH, _LARGEST_BATCH))
    while nearest.num < num_select:
        _choose_some(nearest, batch)
    return nearest.indices()


def _choose_some(nearest: "Nearest", size: int) -> None:
    batch, outside, outside_index = _farthest(nearest.bound, size)
    nearest.look(batch, outside)
    rows = batch[nearest.bound[batch] >= outside]
    if len(rows) == 0:
        return
    bound = nearest.bound[rows].cpu().numpy()
    between = _between(nearest, rows, float(bound.max()))
    positions = rows.cpu().numpy()
    order: list[int] = []
    while nearest.num + len(order) < len(nearest.chosen):
        best = int(bound.argmax())
        if bound[best] < 0 or (bound[best], -positions[best]) < (outside, -outside_index):
            break
        order.append(best)
        np.minimum(bound, between[best], out=bound)
        bound[best] = -1.0
    nearest.choose(rows[nearest.tensor(np.array(order, np.int64))])
    nearest.bound[rows] = nearest.bound.new_tensor(bound)
    nearest.seen_all(rows)


def _farthest(bound: "Tensor", size: int) -> tuple["Tensor", float, int]:
    """Return the positions of the largest bounds, ascending, and the largest bound outside with its position.

    Among equal bounds the lowest positions come first, so that ties outside the batch lose to those inside.
    """
    import torch

    least = bound.topk(min(size, len(bound))).values[-1]
    ties = (bound == least).nonzero()[:, 0]
    above = (bound > least).nonzero()[:, 0]
    batch = torch.cat([above, ties[: size - len(above)]]).sort().values
    batch = batch[bound[batch] >= 0]
    rest = bound.index_fill(0, batch, -1.0)
    outside = rest.max()
    return batch, float(outside), int((rest == outside).nonzero()[0, 0])


def _between(nearest: "Nearest", rows: "Tensor", limit: float) -> np.ndarray[Any, np.dtype[np.floating[Any]]]:
    """Return (r, r) squared distances among the rows; infinity where they exceed the limit."""
    i, j, squared = (part.cpu().numpy() for part in nearest.screen.close_pairs(rows, limit))
    between = np.full((len(rows), len(rows)), np.inf, squared.dtype)
    between[i, j] = between[j, i] = squared
    return between


class Greedy(SelectionStrategy):
    """Start from a random candidate, then keep adding the one farthest from those chosen (arXiv 2509.16499, Alg. 1)."""

    name: Literal["greedy"] = "greedy"
    metric: Distance = "l2"
    """The distance between features: `l2`, or `cosine`."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        check_num_select(num_select, len(pool))
        return farthest_points(pool.features, num_select, int(rng.integers(len(pool))), metric=self.metric)
