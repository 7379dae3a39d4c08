"""Greedy k-centre within each source (Gonzalez 1985), every source with an even share: a control.

Greedy over the whole pool decides two things at once: which images of a generation are kept, and how many of each. Real
images lie far apart, so it keeps many of them. This one leaves the shares as the even draw has them: what it gains over
`uniform` is due to which images it keeps, and what Greedy gains over it to the shares.
"""

from typing import Any, Literal

import numpy as np

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Distance, as_points
from raycollapse.selection.base import SelectionStrategy
from raycollapse.selection.checks import check_num_select
from raycollapse.selection.greedy import farthest_points
from raycollapse.selection.pool import Indices, Pool
from raycollapse.selection.uniform import even_quotas


def farthest_points_per_source(
    features: Any,
    generations: Any,
    num_select: int,
    rng: np.random.Generator,
    *,
    metric: Distance = "l2",
    device: str | None = None,
) -> Indices:
    """Return (num_select,) indices: the `farthest_points` of each source, as many as `even_quotas` grants it.

    Sources come in ascending order, and within one the order chosen. Each starts from a random point of its own; one
    without a quota (fewer picks than sources) gives nothing. With one source this is Greedy.

    Args:
        features: (n, d) NumPy or torch.
        generations: (n,) integers: which source each point is of.
        num_select: 1..n.
        rng: for the start of each source.
        metric: `l2`, or `cosine` for 1 - cos(x, y).
        device: where to compute (`cpu`, `cuda`, `cuda:1`, ...); none: the CPU.

    >>> points, rng = [[0.0], [1.0], [9.0], [0.0], [1.0], [5.0]], np.random.default_rng(0)
    >>> farthest_points_per_source(points, [0, 0, 0, 1, 1, 1], num_select=4, rng=rng).tolist()
    [2, 0, 4, 5]
    """
    points, labels = as_points(features), np.asarray(generations)
    check_num_select(num_select, len(points))
    if labels.shape != (len(points),) or labels.dtype.kind not in "iu":
        raise RequestError(
            f"generations has shape {labels.shape} and type {labels.dtype}; it must be {len(points)} integers, "
            "one for each candidate."
        )
    sources, available = np.unique(labels, return_counts=True)  # sorted: the newest is last
    picks = []
    for source, quota in zip(sources, even_quotas(available, num_select), strict=True):
        if quota:
            rows = np.flatnonzero(labels == source)
            first = int(rng.integers(len(rows)))
            picks.append(rows[farthest_points(points[rows], int(quota), first, metric=metric, device=device)])
    return np.concatenate(picks)


class KCenterPerSource(SelectionStrategy):
    """Greedy within each generation by itself, an even share of each: selection cannot change the real share."""

    name: Literal["k_center_per_source"] = "k_center_per_source"
    metric: Distance = "l2"
    """The distance between features: `l2`, or `cosine`."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        check_num_select(num_select, len(pool))
        return farthest_points_per_source(pool.features, pool.sources[:, 0], num_select, rng, metric=self.metric)
