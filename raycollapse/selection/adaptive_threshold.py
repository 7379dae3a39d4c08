"""A threshold that nobody has to choose: one pass of the filter, at a threshold found by bisection.

The Threshold Decay Filter (arXiv 2509.16499, Alg. 2) asks for a first threshold and a decay, and mixes points accepted
at many thresholds. Here all are accepted at one: any two lie farther apart than it, and every candidate lies within it
of an accepted point, or comes after the last of them in the scan order. The paper leaves adapting the threshold open.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.maths.arrays import Distance
from raycollapse.maths.scalars import as_number
from raycollapse.selection.base import SelectionStrategy
from raycollapse.selection.checks import check_num_select, check_order
from raycollapse.selection.geometry import Geometry
from raycollapse.selection.pool import Indices, Pool
from raycollapse.selection.threshold_decay import auto_threshold

if TYPE_CHECKING:
    from raycollapse.selection.threshold_scan import FilterResult


def adaptive_threshold(
    features: Any,
    num_select: int,
    order: Any,
    tolerance: float,
    *,
    metric: Distance = "l2",
    device: str | None = None,
) -> "FilterResult":
    """Scan the points once, accepting each that is farther than a threshold from all accepted; the threshold is found.

    It reaches `num_select`, and the next higher one tested, at most `tolerance` times itself higher, does not. (How
    many are accepted is not quite monotone in the threshold, so a still higher one may happen to reach it too.)

    Args:
        features: (n, d) NumPy or torch.
        num_select: 1..n.
        order: (n,) the scan order, a permutation of the rows; `order[0]` is accepted first.
        tolerance: how near, relatively, the threshold that suffices and the one that does not are to be; > 0, < 1.
        metric: `l2`, or `cosine` for 1 - cos(x, y).
        device: where to compute (`cpu`, `cuda`, `cuda:1`, ...); none: the CPU.

    Returns:
        `final_threshold` is the threshold found: infinite for one point, which any threshold accepts, and 0 where so
        many are duplicates that no positive one suffices (the rest is then filled in scan order). `num_passes` counts
        the thresholds tested.

    >>> adaptive_threshold([[0.0], [1.0], [10.0], [11.5]], 3, [0, 1, 2, 3], tolerance=0.01).indices.tolist()
    [0, 2, 3]
    """
    from raycollapse.maths.screening import Screen  # imports torch, which a configuration need not wait for
    from raycollapse.selection.threshold_scan import Scan

    geometry, order = Geometry.of(features, metric), np.asarray(order)
    check_num_select(num_select, len(geometry.points))
    check_order(order, len(geometry.points))
    if not 0 < as_number(tolerance, "tolerance") < 1:
        raise RequestError(f"tolerance is {tolerance}; it must lie strictly between 0 and 1. Use 0.01.")
    start = auto_threshold(geometry.points, order, num_select, metric) * geometry.scale
    screen = Screen(geometry.points, num_select, device)
    low, high, num_passes, best = 0.0, np.inf, 0, Scan(geometry, screen, num_select, order)
    if best.is_full:
        return best.result(np.inf, num_passes)
    while high == np.inf or high - low > tolerance * high:
        tau = _between(low, high, start)
        scan, num_passes = Scan(geometry, screen, num_select, order), num_passes + 1
        scan.accept_beyond(tau)
        if scan.is_full:
            low, best = tau, scan
        elif scan.is_done:
            return scan.result(0.0, num_passes)
        else:
            high = tau
    return best.result(low, num_passes)


def _between(low: float, high: float, start: float) -> float:
    """Return the threshold to test next: doubled or halved until one suffices and one does not."""
    if high == np.inf:
        return 2 * low or start
    return (low + high) / 2


class AdaptiveThreshold(SelectionStrategy):
    """Accept, in one pass, what is farther than a threshold from all accepted; the threshold is found by bisection."""

    name: Literal["adaptive_threshold"] = "adaptive_threshold"
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """How near, relatively, the threshold that suffices and the one that does not are to be."""
    metric: Distance = "l2"
    """The distance between features: `l2`, or `cosine`."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        check_num_select(num_select, len(pool))
        order = rng.permutation(len(pool))
        return adaptive_threshold(pool.features, num_select, order, self.tolerance, metric=self.metric).indices
