"""How wide a set is, and how dense: the trace hardly moves while neighbours close in (arXiv 2509.16499, Fig. 3)."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from raycollapse.maths.arrays import as_points
from raycollapse.maths.moments import covariance_trace
from raycollapse.maths.neighbours import nearest
from raycollapse.metrics.base import Metric, Points


def mean_nearest_distance(features: Any) -> float:
    """Return the mean distance of a point of (n, d) to its nearest other, in the units of the features; n >= 2."""
    points = as_points(features, minimum=2)
    return float(nearest(points, points, 1, exclude_self=True).distances.mean())


class Spread(Metric):
    """Covariance trace and mean nearest-neighbour distance of the train set and of the synthetic set, N points each."""

    min_num_train: ClassVar[int] = 2
    value_names: ClassVar[tuple[str, ...]] = (
        "diversity/covariance_trace_train_set", "diversity/nearest_distance_train_set",
        "diversity/covariance_trace_synthetic", "diversity/nearest_distance_synthetic",
    )  # fmt: skip

    name: Literal["spread"] = "spread"

    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        num = len(real)
        for label, points in (("train_set", train_set.first(num)), ("synthetic", synthetic.first(num))):
            yield f"diversity/covariance_trace_{label}", covariance_trace(points.features)
            yield f"diversity/nearest_distance_{label}", mean_nearest_distance(points.features)
