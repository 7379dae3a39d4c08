"""Exact nearest distances without looking at most pairs: a short vector per point tells which pairs cannot matter.

The short vector u(x) holds x's first p principal coordinates and the length of what is left of x. Leaving out dimensions
never lengthens a difference, and the reverse triangle inequality bounds the rest, so |u(x) - u(y)| <= |x - y|. A matrix
product of short vectors costs p / d of the full one; the few pairs it cannot rule out are computed from the differences
of their features, which is accurate for near-duplicates too, and 0 for duplicates. What is ruled out is certain, so
results depend neither on p nor on how the work is cut into blocks.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from raycollapse.maths.arrays import Points

_SAMPLE = 2048  # points from which the principal axes and p are found
_WIDTHS = (16, 24, 32, 48, 64, 96, 128)  # p to choose from
_BLOCK = 4096  # rows converted to float64 at once


@dataclass(frozen=True)
class _Frame:
    """Where points are moved before products: centred, the farthest at length 1, and turned to the principal axes."""

    centre: NDArray[np.float64]
    scale: float
    axes: NDArray[np.float64] | None
    """(d, p), or none where leaving dimensions out rules out too little"""


class Screen:
    """The distances between the rows of one set of points."""

    def __init__(self, points: Points, device: str | None = None) -> None:
        self.points = torch.from_numpy(points).to(device or "cpu")
        self._array = points
        self._on_cpu = self.points.device.type == "cpu"
        self._frame, self._short = _shorten(points)
        ...
