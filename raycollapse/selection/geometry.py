"""The points that a selection compares by Euclidean distance, and what a threshold means among them."""

from typing import Any, NamedTuple

import numpy as np

from raycollapse.maths.arrays import Distance, Points, as_points, check_distance, unit_rows


class Geometry(NamedTuple):
    """Points whose Euclidean distances order pairs as the distance asked for does."""

    points: Points
    metric: Distance
    scale: float
    """What the points were divided by."""

    @staticmethod
    def of(features: Any, metric: Distance) -> "Geometry":
        """Check (n, d) features and place them: on the unit sphere for cosine, where |x - y|^2 / 2 = 1 - cos(x, y).

        Points of a size whose squares float32 cannot hold are scaled; others are used as they are, without a copy.
        """
        check_distance(metric)
        points = as_points(features)
        if metric == "cosine":
            return Geometry(unit_rows(points), metric, 1.0)
        largest = max(float(points.max()), -float(points.min()))
        if 1e-12 < largest < 1e15 or largest == 0:
            return Geometry(points, metric, 1.0)
        return Geometry(points / np.asarray(largest, points.dtype), metric, largest)

    def squared(self, threshold: float) -> float:
        """Return the squared Euclidean distance between these points that a threshold stands for."""
        return 2 * threshold if self.metric == "cosine" else (threshold / self.scale) ** 2

    def threshold(self, squared: float) -> float:
        """Return the threshold that a squared Euclidean distance between these points stands for."""
        return squared / 2 if self.metric == "cosine" else float(np.sqrt(squared)) * self.scale
