"""Threshold Decay Filter, TDF (arXiv 2509.16499, Alg. 2), exact and lazy."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from raycollapse.maths.arrays import Distance, as_points
from raycollapse.maths.neighbours import nearest
from raycollapse.selection.base import SelectionStrategy
from raycollapse.selection.checks import check_decay, check_num_select, check_order, check_threshold
from raycollapse.selection.geometry import Geometry
from raycollapse.selection.pool import Indices, Pool
from raycollapse.selection.schedules import Schedule, check_schedule, next_threshold

if TYPE_CHECKING:
    from raycollapse.selection.threshold_scan import FilterResult

AUTO_QUANTILE = 0.99
AUTO_SAMPLE = 1024


def threshold_decay_filter(
    features: Any,
    num_select: int,
    order: Any,
    threshold: float,
    decay: float,
    *,
    schedule: Schedule = "geometric",
    metric: Distance = "l2",
    device: str | None = None,
) -> "FilterResult":
    """Scan the points in a fixed order and accept each that is farther than the threshold from all accepted so far.

    After every pass the threshold falls, until `num_select` are accepted. Once no candidate is at a positive distance,
    the rest is filled in scan order: no threshold would ever accept it.

    Args:
        features: (n, d) NumPy or torch.
        num_select: 1..n.
        order: (n,) the scan order, a permutation of the rows; `order[0]` is accepted first.
        threshold: tau of the first pass, > 0, in the units of the distance.
        decay: alpha, strictly between 0 and 1; near 1 approaches Greedy, near 0 the plain scan order.
        schedule: how the threshold falls: `geometric` (the paper's), `linear` or `acceptance`; see `next_threshold`.
        metric: `l2`, or `cosine` for 1 - cos(x, y).
        device: where to compute (`cpu`, `cuda`, `cuda:1`, ...); none: the CPU.

    >>> threshold_decay_filter([[0.0], [1.0], [10.0]], 3, [0, 1, 2], threshold=4.0, decay=0.5).indices.tolist()
    [0, 2, 1]
    """
    from raycollapse.maths.screening import Screen  # imports torch, which a configuration need not wait for
    from raycollapse.selection.threshold_scan import Scan

    geometry, order = Geometry.of(features, metric), np.asarray(order)
    check_num_select(num_select, len(geometry.points))
    check_order(order, len(geometry.points))
    check_threshold(threshold)
    check_decay(decay)
    check_schedule(schedule)
    scan = Scan(geometry, Screen(geometry.points, num_select, device), num_select, order)
    tau, num_passes, last = threshold, 1, (threshold, 1)
    while True:
        num_accepted = scan.accept_beyond(tau)
        if num_accepted:
            last = tau, num_passes
        if scan.is_done:
            return scan.result(*last)
        tau, num_passes = next_threshold(schedule, tau, threshold, decay, num_accepted, scan.missing), num_passes + 1


def auto_threshold(features: Any, order: Any, num_select: int, metric: Distance = "l2") -> float:
    """Return a first threshold: the 0.99 quantile of nearest-neighbour distances among the first points scanned.

    Of at most 1,024 points, and no more than are to be selected: a sample's neighbours are farther than the pool's, so
    the first pass seldom reaches `num_select`, and a threshold that starts too high costs only a few empty passes.
    """
    points, order = as_points(features), np.asarray(order)
    check_num_select(num_select, len(points))
    check_order(order, len(points))
    sample = points[order[: max(2, min(AUTO_SAMPLE, num_select))]]
    if len(sample) < 2:
        return 1.0
    distances = nearest(sample, sample, 1, exclude_self=True, metric=metric).distances
    return float(np.quantile(distances, AUTO_QUANTILE)) or float(distances.max()) or 1.0


class ThresholdDecay(SelectionStrategy):
    """Accept what is farther than a threshold from all accepted, pass after pass, the threshold decaying (TDF)."""

    unhashed_at_default: ClassVar[frozenset[str]] = frozenset({"schedule"})

    name: Literal["threshold_decay"] = "threshold_decay"
    threshold: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """tau of the first pass, in the units of the distance: a number (the paper's 60 in DINOv2 space, 2,000 in pixel
    space), or `auto`: the 0.99 quantile of nearest-neighbour distances in a sample of the pool."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """alpha, strictly between 0 and 1: what the threshold is multiplied by after every pass, if `geometric`."""
    schedule: Schedule = "geometric"
    """How the threshold falls: `geometric` (the paper's), `linear` to 0, or `acceptance`: quickly while nothing is
    accepted, slowly near the goal."""
    metric: Distance = "l2"
    """The distance between features: `l2`, or `cosine`."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        check_num_select(num_select, len(pool))
        order = rng.permutation(len(pool))
        threshold = self.threshold
        if threshold == "auto":
            threshold = auto_threshold(pool.features, order, num_select, self.metric)
        return threshold_decay_filter(
            pool.features, num_select, order, threshold, self.decay, schedule=self.schedule, metric=self.metric
        ).indices
