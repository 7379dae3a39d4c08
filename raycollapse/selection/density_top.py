"""The candidates in the densest places (k-nearest-neighbour density, Loftsgaarden and Quesenberry 1965): a control.

What a sampler does that prefers likely images: the picks look typical, and modes with few images vanish. The opposite
of what entropy asks for, so a measure that likes this selection does not see collapse.
"""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Distance, as_points
from raycollapse.maths.neighbours import nearest
from raycollapse.maths.scalars import as_integer
from raycollapse.selection.base import SelectionStrategy
from raycollapse.selection.checks import check_num_select
from raycollapse.selection.pool import Indices, Pool


def densest_points(features: Any, num_select: int, k: int = 5, *, metric: Distance = "l2") -> Indices:
    """Return (num_select,) indices, those with the smallest distance to their k-th neighbour first.

    The density estimate at x is k / (n c_d r_k(x)^d), with r_k(x) the distance to the k-th nearest other point and c_d
    the volume of the unit ball: it falls as r_k grows, so r_k alone decides. Equal ones go to the lowest index.

    Computes 2 n^2 d floating-point operations in matrix products, once: about a minute on one core at n = 65,536 and
    d = 384.

    Args:
        features: (n, d) NumPy or torch.
        num_select: 1..n.
        k: which neighbour, 1..n - 1; a point is no neighbour of its own, its duplicates are.
        metric: `l2`, or `cosine` for 1 - cos(x, y).

    >>> densest_points([[0.0], [10.0], [11.0], [30.0], [10.5]], num_select=3, k=1).tolist()
    [1, 2, 4]
    """
    points = as_points(features)
    check_num_select(num_select, len(points))
    if not 1 <= as_integer(k, "k") < len(points):
        raise RequestError(
            f"k is {k}; with {len(points)} candidates it must be at least 1 and less than {len(points)}. "
            "Use a smaller k, or offer more candidates."
        )
    radius = nearest(points, points, k, exclude_self=True, metric=metric).distances[:, -1]
    return np.argsort(radius, kind="stable")[:num_select]


class DensityTop(SelectionStrategy):
    """Keep the most typical candidates, those nearest to their k-th neighbour: the harmful control."""

    name: Literal["density_top"] = "density_top"
    k: int = Field(default=5, ge=1)
    """The neighbour whose distance tells how dense a place is; less than the number of candidates."""
    metric: Distance = "l2"
    """The distance between features: `l2`, or `cosine`."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        return densest_points(pool.features, num_select, self.k, metric=self.metric)

    def check_request(self, num_pool: int) -> None:
        if self.k >= num_pool:
            raise RequestError(
                f"selection.k is {self.k}; it must be less than the number of candidates, {num_pool} at first. "
                "Lower it, or raise data.num_train."
            )
