"""Exact nearest neighbours, also among near-duplicates, which are what memorisation makes.

float32 squared distances by matrix products are off by about eps (|x|^2 + |y|^2), for near-duplicates more than the
distance itself. So faiss only proposes candidates; their distances are computed anew in float64 from differences;
and where the proposal's error could hide a nearer point, float64 products propose again, in the end everything.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Distance, Points, as_points, check_distance, check_same_width, unit_rows
from raycollapse.maths.optional_faiss import load_faiss
from raycollapse.maths.scalars import as_integer

_EXTRA = 4  # candidates beyond k at first: the gap to the last of them nearly always exceeds the error
_TIE = 1e-10  # points whose squared distances differ by less than this share are as near as each other
_WIDE = 1e30  # a frame beyond this is placed in float64, whatever the points are: float32 ends at 3e38
_QUERIES = 512  # looked up at once: faiss holds the products of up to 4,096 of them with 1,024 references
_PRODUCTS = 1 << 21  # float64 products held at once: 16 MiB
_DIFFERENCES = 1 << 16  # differences held at once: they stay in the cache


class Neighbours(NamedTuple):
    """The k nearest references of each query, nearest first."""

    distances: NDArray[np.float64]
    """(n, k), in the units of the features (l2), or 1 - cos in [0, 2]"""
    indices: NDArray[np.int64]
    """(n, k) rows of the references"""


class _Proposal(NamedTuple):
    candidates: NDArray[np.int64]
    """(n, num) rows of the references"""
    beyond: NDArray[np.float64]
    """(n,) the squared distance that no other reference undercuts by more than `error`"""
    error: NDArray[np.float64]
    """(n,)"""


def nearest(
    queries: Any, references: Any, k: int, exclude_self: bool = False, *, metric: Distance = "l2"
) -> Neighbours:
    """Return the k nearest references of each query, exactly; equally near ones (to 1e-10) are as good as each other.

    Args:
        queries: (n, d) NumPy or torch.
        references: (m, d).
        k: how many, 1 <= k <= m (m - 1 with `exclude_self`).
        exclude_self: queries and references are the same set in the same order: row i is no neighbour of row i,
            but its duplicates are.
        metric: `l2`, or `cosine` for 1 - cos(x, y).

    >>> nearest([[0.0], [1.0], [5.0]], [[0.0], [1.0], [5.0]], k=1, exclude_self=True).distances.ravel().tolist()
    [1.0, 1.0, 4.0]
    """
    check_distance(metric)
    q, r = as_points(queries, "queries"), as_points(references, "references")
    check_same_width(q, r, "queries", "references")
    k = _checked_k(k, len(q), len(r), exclude_self)
    if metric == "cosine":
        q, r = unit_rows(q, "queries"), unit_rows(r, "references")
    distances, indices = _search(q, r, k, exclude_self)
    return Neighbours(distances**2 / 2 if metric == "cosine" else distances, indices)


def _checked_k(k: int, num_queries: int, num_references: int, exclude_self: bool) -> int:
    if exclude_self and num_queries != num_references:
        raise RequestError(
            f"exclude_self is set, but there are {num_queries} queries and {num_references} references; "
            "it means that they are the same set. Pass the same array twice, or leave it off."
        )
    available = num_references - exclude_self
    if not 1 <= as_integer(k, "k") <= available:
        raise RequestError(f"k is {k}; with {num_references} references it must lie in 1..{available}.")
    return as_integer(k, "k")


def _search(q: Points, r: Points, k: int, exclude_self: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    distances, indices = np.empty((len(q), k)), np.empty((len(q), k), np.int64)
    frame = Frame.around(q, r)
    todo, num, precise = np.arange(len(q)), min(k + exclude_self + _EXTRA, len(r)), False
    while len(todo):
        proposal = frame.propose(q[todo] if len(todo) < len(q) else q, r, num, precise)
        distances[todo], indices[todo] = _rank(q, r, todo, proposal.candidates, k, exclude_self)
        squared = (distances[todo, -1] / frame.scale) ** 2
        certain = squared <= np.maximum(proposal.beyond - proposal.error, 0)
        todo = todo[~(certain | (proposal.error <= _TIE * squared))]
        num = min(8 * num, len(r)) if precise else num
        precise = True
    return distances, indices


class Frame(NamedTuple):
    """Where the points are moved before products are formed: their centre at 0, the farthest of them at length 1."""

    centre: NDArray[np.float64]
    scale: float

    @staticmethod
    def around(q: Points, r: Points) -> "Frame":
        centre = r.mean(axis=0, dtype=np.float64)
        return Frame(centre, max(_radius(q, centre), _radius(r, centre)) or 1.0)

    def place(self, points: Points, precise: bool) -> Points:
        kind = np.dtype(np.float64) if precise or self.scale > _WIDE else points.dtype
        placed: Points = points - self.centre.astype(kind)
        placed /= self.scale
        return placed if precise else placed.astype(np.float32, copy=False)

    def propose(self, q: Points, r: Points, num: int, precise: bool) -> _Proposal:
        """Return `num` candidates for each query; all references are candidates that nothing undercuts."""
        if num == len(r):
            everything = np.broadcast_to(np.arange(num), (len(q), num))
            return _Proposal(everything, np.full(len(q), np.inf), np.zeros(len(q)))
        placed_r = self.place(r, precise)
        placed_q = placed_r if q is r else self.place(q, precise)
        candidates, beyond = (_by_float64 if precise else _by_faiss)(placed_q, placed_r, num)
        return _Proposal(candidates, beyond.astype(np.float64), np.full(len(q), product_error(placed_q)))


def _radius(points: Points, centre: NDArray[np.float64]) -> float:
    """Return the largest length of a centred point, from its largest coordinate so that squares cannot overflow."""
    centred = points - centre.astype(points.dtype if np.abs(centre).max() < _WIDE else np.float64)
    largest = float(max(centred.max(), -centred.min()))
    if largest == 0:
        return 0.0
    centred /= largest
    return largest * float(np.sqrt(np.einsum("ij,ij->i", centred, centred).max()))


def product_error(placed: Points) -> float:
    """Return a bound on the error of |x|^2 + |y|^2 - 2 x.y for points of length up to 1.

    d eps / 2 (|x| + |y|)^2 is the worst case of the sums; moving and rounding the points costs a few eps more.
    """
    eps = float(np.finfo(placed.dtype).eps)
    return 4.0 * (int(placed.shape[1]) + 8) * eps


def _by_faiss(q: Points, r: Points, num: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    faiss = load_faiss()
    candidates, beyond = np.empty((len(q), num), np.int64), np.empty(len(q), np.float32)
    for start in range(0, len(q), _QUERIES):
        block = slice(start, start + _QUERIES)
        squared, candidates[block] = faiss.knn(q[block], r, num)
        beyond[block] = squared[:, -1]
    return candidates, beyond


def _by_float64(q: Points, r: Points, num: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    candidates, beyond = np.empty((len(q), num), np.int64), np.empty(len(q))
    lengths = np.einsum("ij,ij->i", r, r)
    step = max(1, _PRODUCTS // len(r))
    for start in range(0, len(q), step):
        block = slice(start, start + step)
        squared = lengths - 2 * (q[block] @ r.T)  # |q|^2 is the same for all
        candidates[block] = np.argpartition(squared, num - 1, axis=1)[:, :num]
        farthest = np.take_along_axis(squared, candidates[block], axis=1).max(axis=1)
        beyond[block] = farthest + np.einsum("ij,ij->i", q[block], q[block])
    return candidates, beyond


def _rank(
    q: Points, r: Points, rows: NDArray[np.int64], candidates: NDArray[np.int64], k: int, exclude_self: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return float64 distances and indices of the k nearest candidates of `q[rows]`, ties to the lowest index."""
    distances, indices = np.empty((len(rows), k)), np.empty((len(rows), k), np.int64)
    step = max(1, _DIFFERENCES // (candidates.shape[1] * q.shape[1]))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        some = np.sort(candidates[block], axis=1)  # so that a stable sort sends ties to the lowest index
        difference = r[some].astype(np.float64) - q[rows[block], None]
        squared = np.einsum("ijk,ijk->ij", difference, difference)
        if exclude_self:
            squared[some == rows[block, None]] = np.inf
        best = np.argsort(squared, axis=1, kind="stable")[:, :k]
        distances[block] = np.sqrt(np.take_along_axis(squared, best, axis=1))
        indices[block] = np.take_along_axis(some, best, axis=1)
    return distances, indices
