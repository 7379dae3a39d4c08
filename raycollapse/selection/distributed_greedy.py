"""Greedy Selection of pools beyond one machine's memory, in two rounds (composable core-sets: Indyk et al. 2014).

Round one chooses greedily within each of several shards of the pool; round two among what they chose. With as many from
each shard as are wanted in all, the union contains a subset whose covering radius is at most 3 times, and whose least
distance at least a third of, the best possible. Greedy over that union covers within 4 times the best radius (Malkomes
et al. 2015) and keeps a sixth of the best distance, where Greedy over all covers within 2 times and keeps a half. Fewer
from each keep that promise for evenly dealt pools only roughly (Mirrokni and Zadimoghaddam 2015), and are what makes
the second round small. What is lost in practice, `experiments/benchmarks/distributed_greedy.py` measures.
"""

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Distance, as_points
from raycollapse.maths.scalars import as_integer, as_number
from raycollapse.selection.base import TwoRoundStrategy
from raycollapse.selection.checks import check_num_select, check_row
from raycollapse.selection.greedy import farthest_points
from raycollapse.selection.pool import Indices, Pool


def two_round_greedy(
    features: Any,
    num_select: int,
    first: int,
    num_shards: int,
    shortlist: float = 2.0,
    *,
    metric: Distance = "l2",
    device: str | None = None,
) -> Indices:
    """Return (num_select,) indices: `first`, then greedily among what greedy chose in each shard of the points.

    Point i lies in shard i mod `num_shards`.

    Args:
        features: (n, d) NumPy or torch.
        num_select: 1..n.
        first: the row to start from.
        num_shards: 1..n; with 1 the result is that of `farthest_points`.
        shortlist: how many times its fair share, num_select / num_shards, a shard puts forward; at least 1. From
            `num_shards` on, the bounds above hold.
        metric: `l2`, or `cosine` for 1 - cos(x, y).
        device: where to compute (`cpu`, `cuda`, `cuda:1`, ...); none: the CPU.

    >>> two_round_greedy([[0.0], [1.0], [3.0], [10.0], [11.0], [5.0]], 3, first=0, num_shards=2).tolist()
    [0, 4, 5]
    """
    points = as_points(features)
    check_num_select(num_select, len(points))
    check_row(first, len(points), "first")
    if not 1 <= as_integer(num_shards, "num_shards") <= len(points):
        raise RequestError(f"num_shards is {num_shards}; with {len(points)} points it must lie in 1..{len(points)}.")
    chosen = [np.array([first])]
    for start in range(num_shards):
        shard = np.arange(start, len(points), num_shards)
        begin = int(np.flatnonzero(shard == first)[0]) if first in shard else 0
        size = shortlist_size(len(shard), len(points), num_select, shortlist)
        picks = farthest_points(points[shard], size, begin, metric=metric, device=device)
        chosen.append(shard[picks])
    union = np.unique(np.concatenate(chosen))
    begin = int(np.searchsorted(union, first))
    return union[farthest_points(points[union], num_select, begin, metric=metric, device=device)]


def shortlist_size(num_shard: int, num_pool: int, num_select: int, factor: float) -> int:
    """Return how many a shard puts forward: `factor` times its fair share, no more than it has or are wanted in all."""
    if not 1 <= as_number(factor, "shortlist") < np.inf:
        raise RequestError(f"shortlist is {factor}; it must be at least 1, a shard's fair share. Use 2.")
    return min(math.ceil(factor * num_select * num_shard / num_pool), num_shard, num_select)


class DistributedGreedy(TwoRoundStrategy):
    """Greedy within shards of the pool, each in a process of its own, then greedy among what they put forward."""

    name: Literal["distributed_greedy"] = "distributed_greedy"
    shortlist_factor: Annotated[float, Field(ge=1)] = 2.0
    """How many times its fair share of num_train a shard puts forward; never more than num_train."""
    metric: Distance = "l2"
    """The distance between features: `l2`, or `cosine`."""

    def shortlist(self, shard: Pool, num_pool: int, num_select: int, rng: np.random.Generator) -> Indices:
        size = shortlist_size(len(shard), num_pool, num_select, self.shortlist_factor)
        return farthest_points(shard.features, size, int(rng.integers(len(shard))), metric=self.metric)

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        check_num_select(num_select, len(pool))
        return farthest_points(pool.features, num_select, int(rng.integers(len(pool))), metric=self.metric)
