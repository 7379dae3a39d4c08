"""Threshold Decay Filter, TDF (arXiv 2509.16499, Alg. 2)."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Distance, as_points, check_distance, unit_rows
from raycollapse.maths.neighbours import nearest
from raycollapse.selection.base import SelectionStrategy
from raycollapse.selection.checks import check_num_select, check_order
from raycollapse.selection.pool import Indices, Pool

AUTO_QUANTILE = 0.99
AUTO_SAMPLE = 1024


@dataclass(frozen=True)
class FilterResult:
    """What a threshold filter chose, and how."""

    indices: Indices
    """(num_select,) in the order accepted"""
    final_threshold: float
    """The threshold of the last pass, in the units of the distance."""
    num_passes: int
    """How often the candidates were scanned."""
    num_filled: int
    """How many, at the end of `indices`, were taken in scan order because all that was left were duplicates."""


def threshold_decay_filter(
    features: Any,
    num_select: int,
    order: Any,
    threshold: float,
    decay: float,
    *,
    metric: Distance = "l2",
    device: str | None = None,
) -> FilterResult:
    """Scan the points in a fixed order and accept each that is farther than the threshold from all accepted so far.

    After every pass, threshold <- decay * threshold, until `num_select` are accepted. Once no candidate is at a
    positive distance, the rest is filled in scan order: no threshold would ever accept it.

    Args:
        features: (n, d) NumPy or torch.
        num_select: 1..n.
        order: (n,) the scan order, a permutation of the rows; `order[0]` is accepted first.
        threshold: tau of the first pass, > 0, in the units of the distance.
        decay: alpha, strictly between 0 and 1; near 1 approaches Greedy, near 0 the plain scan order.
        metric: `l2`, or `cosine` for 1 - cos(x, y).
        device: where to compute.
    """
    check_distance(metric)
    points, order = as_points(features), np.asarray(order)
    check_num_select(num_select, len(points))
    check_order(order, len(points))
    check_threshold(threshold)
    check_decay(decay)
    x = (unit_rows(points) if metric == "cosine" else points)[order].astype(np.float64)
    indices, final, passes, filled = _filter(x, num_select, threshold, decay, 2.0 if metric == "cosine" else 1.0)
    return FilterResult(order[indices], final, passes, filled)


def _filter(
    x: NDArray[np.float64], num_select: int, threshold: float, decay: float, unit: float
) -> tuple[Indices, float, int, int]:
    gap = np.full(len(x), np.inf)  # squared distance to the nearest accepted point; -1 once accepted
    accepted = [0]
    _accept(x, gap, 0)
    passes, limit = 1, _squared(threshold, unit)
    position = 0
    while len(accepted) < num_select:
        ahead = gap[position + 1 :] > limit
        step = int(ahead.argmax()) if len(ahead) else 0
        if len(ahead) and ahead[step]:
            position += 1 + step
            accepted.append(position)
            _accept(x, gap, position)
            continue
        if gap.max() <= 0:
            break
        threshold, position, passes = threshold * decay, -1, passes + 1
        limit = _squared(threshold, unit)
    rest = np.setdiff1d(np.arange(len(x)), accepted)[: num_select - len(accepted)]
    return np.concatenate([accepted, rest]).astype(np.int64), threshold, passes, len(rest)


def _accept(x: NDArray[np.float64], gap: NDArray[np.float64], position: int) -> None:
    difference = x - x[position]
    np.minimum(gap, np.einsum("ij,ij->i", difference, difference), out=gap)
    gap[position] = -1.0


def _squared(threshold: float, unit: float) -> float:
    """Return the squared Euclidean distance of a threshold: 1 - cos = |x - y|^2 / 2 on the unit sphere."""
    return threshold**2 if unit == 1.0 else 2 * threshold


def check_threshold(threshold: float) -> None:
    """Raise RequestError unless the threshold is a positive number."""
    if not 0 < threshold < np.inf:
        raise RequestError(
            f"threshold is {threshold}; it must be a positive number, in the units of the distance. "
            "Use auto, or the paper's 60 in DINOv2 space."
        )


def check_decay(decay: float) -> None:
    """Raise RequestError unless the decay lies strictly between 0 and 1."""
    if not 0 < decay < 1:
        raise RequestError(f"decay is {decay}; it must lie strictly between 0 and 1. Use 0.95, the paper's value.")


def auto_threshold(features: Any, order: Indices, num_select: int, metric: Distance = "l2") -> float:
    """Return a first threshold: the 0.99 quantile of nearest-neighbour distances among the first points scanned.

    Of at most 1,024 points, and no more than are to be selected: a sample's neighbours are farther than the pool's, so
    the first pass seldom reaches `num_select`, and a threshold that starts too high costs only a few empty passes.
    """
    sample = features[order[: max(2, min(AUTO_SAMPLE, num_select))]]
    if len(sample) < 2:
        return 1.0
    distances = nearest(sample, sample, 1, exclude_self=True, metric=metric).distances
    return float(np.quantile(distances, AUTO_QUANTILE)) or float(distances.max()) or 1.0


class ThresholdDecay(SelectionStrategy):
    """Accept what is farther than a threshold from all accepted, pass after pass, the threshold decaying (TDF)."""

    name: Literal["threshold_decay"] = "threshold_decay"
    threshold: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """tau of the first pass, in the units of the distance: a number (the paper's 60 in DINOv2 space, 2,000 in pixel
    space), or `auto`: the 0.99 quantile of nearest-neighbour distances in a sample of the pool."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """alpha, what the threshold is multiplied by after every pass: strictly between 0 and 1."""
    metric: Distance = "l2"
    """The distance between features: `l2`, or `cosine`."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        check_num_select(num_select, len(pool))
        order = rng.permutation(len(pool))
        threshold = self.threshold
        if threshold == "auto":
            threshold = auto_threshold(pool.features, order, num_select, self.metric)
        return threshold_decay_filter(
            pool.features, num_select, order, threshold, self.decay, metric=self.metric
        ).indices
