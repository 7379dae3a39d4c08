"""One candidate for each cluster of k-means (Lloyd 1982; faiss's, Johnson, Douze and Jegou 2021): a control.

Greedy covers the pool's support and so likes outliers; k-means puts its centres where the candidates are, many where
they are many. What Greedy gains over it is due to the support, what it gains over `uniform` to evenness within density.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Distance, Points
from raycollapse.maths.neighbours import nearest
from raycollapse.maths.optional_faiss import load_faiss
from raycollapse.maths.scalars import as_integer
from raycollapse.selection.base import SelectionStrategy
from raycollapse.selection.checks import check_num_select, check_rows
from raycollapse.selection.geometry import Geometry
from raycollapse.selection.pool import Indices, Pool

_BLOCK = 4096  # rows converted to float64 at once


def cluster_representatives(
    features: Any, num_select: int, first: Any, num_iterations: int = 10, *, metric: Distance = "l2"
) -> Indices:
    """Return (num_select,) indices: of each cluster of k-means the member nearest the mean of its members.

    Picks of larger clusters come first. Fewer clusters than `num_select` have members where points are equal, seldom
    otherwise; then the second nearest member of each cluster follows, larger clusters first, then the third, until
    there are enough. So picks are always distinct. Ties, here and there, go to the lowest index.

    Each iteration computes 2 n num_select d floating-point operations in float32, and the final assignment about as
    many: with ten, at d = 384 on one core, 15 s for 8,192 of 16,384 points and a minute for 8,192 of 65,536.

    Args:
        features: (n, d) NumPy or torch.
        num_select: 1..n, which is the number of clusters too.
        first: (num_select,) distinct rows: where the centroids start.
        num_iterations: how often the centroids move to the mean of what is nearest to them, at least once.
        metric: `l2`, or `cosine` for spherical k-means (Dhillon and Modha 2001): centroids are directions.

    >>> cluster_representatives([[0.0], [1.0], [2.5], [10.0], [11.0]], num_select=2, first=[0, 4]).tolist()
    [1, 3]
    """
    points = _placed(features, metric)
    check_num_select(num_select, len(points))
    first = np.asarray(first)
    check_rows(first, num_select, len(points), "first")
    if as_integer(num_iterations, "num_iterations") < 1:
        raise RequestError(f"num_iterations is {num_iterations}; it must be at least 1. Use 10.")
    clusters = nearest(points, _centroids(points, first, num_iterations, metric), 1).indices[:, 0]
    return _in_turn(clusters, _squared_to_mean(points, clusters))[:num_select]


def _placed(features: Any, metric: Distance) -> NDArray[np.float32]:
    """Return the points on the unit sphere for cosine, else around 0: float32 products err by about eps |x|^2."""
    points = Geometry.of(features, metric).points
    if metric == "l2":
        points = points - points.mean(axis=0, dtype=np.float64).astype(points.dtype)
    return points.astype(np.float32, copy=False)


def _centroids(points: NDArray[np.float32], first: Indices, num_iterations: int, metric: Distance) -> Points:
    """Return (num_select, d) centroids.

    faiss moves a centroid that loses all its points next to one that has many. Unless told otherwise it also samples
    the points, and warns of small clusters, which are what is asked for here.
    """
    kmeans = load_faiss().Kmeans(
        points.shape[1], len(first), niter=num_iterations, spherical=metric == "cosine",
        min_points_per_centroid=1, max_points_per_centroid=len(points),
    )  # fmt: skip
    kmeans.train(points, init_centroids=points[first])
    centroids: Points = kmeans.centroids
    return centroids


def _squared_to_mean(points: Points, clusters: Indices) -> NDArray[np.float64]:
    """Return (n,) squared distances of points to the mean of their cluster's members, in float64.

    So the members of a pair, of which there are many if half of the points are chosen, are exactly equally near. On the
    sphere this orders as the cosine with the mean does: |x - m|^2 = |x|^2 - 2 x.m + |m|^2, where all |x| are 1.
    """
    order = np.argsort(clusters, kind="stable")
    _, starts, members = np.unique(clusters[order], return_index=True, return_counts=True)
    means = np.add.reduceat(points[order], starts, axis=0, dtype=np.float64) / members[:, None]
    rows, squared = np.repeat(np.arange(len(starts)), members), np.empty(len(points))
    for start in range(0, len(points), _BLOCK):
        block = order[start : start + _BLOCK]
        difference = points[block] - means[rows[start : start + _BLOCK]]
        squared[block] = np.einsum("ij,ij->i", difference, difference)
    return squared


def _in_turn(clusters: Indices, squared: NDArray[np.float64]) -> Indices:
    """Return all points: the nearest member of each cluster, larger clusters first, then the second nearest, ..."""
    order = np.lexsort((squared, clusters))  # stable: equally near ones stay in the order of their indices
    _, starts, members = np.unique(clusters[order], return_index=True, return_counts=True)
    turn, size = np.arange(len(order)) - np.repeat(starts, members), np.repeat(members, members)
    return order[np.lexsort((order, -size, turn))]


class KMeans(SelectionStrategy):
    """Cluster the pool into as many clusters as are to be selected, and keep the most central member of each."""

    name: Literal["k_means"] = "k_means"
    num_iterations: int = Field(default=10, ge=1)
    """How often the centroids move; they hardly do after ten times where clusters are small."""
    metric: Distance = "l2"
    """The distance between features: `l2`, or `cosine` for spherical k-means."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        check_num_select(num_select, len(pool))
        first = rng.choice(len(pool), num_select, replace=False)
        return cluster_representatives(pool.features, num_select, first, self.num_iterations, metric=self.metric)
