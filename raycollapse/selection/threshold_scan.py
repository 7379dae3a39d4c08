"""Passes of a threshold filter: scan candidates in order, accept those farther than the threshold from all accepted.

A candidate whose bound is within the threshold is passed over without looking. Of the rest, a block looks at once at
what it has not seen, and the pairs within the block that are closer than the threshold decide the block in order.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from raycollapse.maths.screening import Screen
from raycollapse.selection.geometry import Geometry
from raycollapse.selection.lazy import Nearest
from raycollapse.selection.pool import Indices

_BLOCK = 512


@dataclass(frozen=True)
class FilterResult:
    """What a threshold filter chose, and how."""

    indices: Indices
    """(num_select,) in the order accepted"""
    final_threshold: float
    """The threshold of the last pass that accepted anything, in the units of the distance."""
    num_passes: int
    """How often the candidates were scanned."""
    num_filled: int
    """How many, at the end of `indices`, were taken in scan order because all that was left were duplicates."""


class Scan:
    """Repeated passes over candidates in a fixed order, at thresholds of the caller's choice."""

    def __init__(self, geometry: Geometry, screen: Screen, num_select: int, order: Indices) -> None:
        self._geometry = geometry
        self._nearest = Nearest(screen, num_select)
        self._waiting = self._nearest.tensor(order[1:])  # not accepted, in scan order
        self._nearest.choose(self._nearest.tensor(order[:1]))
        self._ceiling = float("inf")  # no waiting candidate is farther than this from the accepted (squared)

    @property
    def is_full(self) -> bool:
        """Whether as many are accepted as were to be selected."""
        return self._nearest.num == len(self._nearest.chosen)

    @property
    def is_done(self) -> bool:
        """Whether no threshold would accept any more: there are enough, or only duplicates wait."""
        return self.is_full or self._ceiling <= 0

    @property
    def missing(self) -> float:
        """The share of the points to be selected that is not accepted yet."""
        return 1 - self._nearest.num / len(self._nearest.chosen)

    def accept_beyond(self, threshold: float) -> int:
        """Scan once, accept each candidate farther than the threshold from all accepted; return how many that was."""
        with np.errstate(over="ignore"):  # then it is infinite, and nothing is accepted
            limit = float(np.asarray(self._geometry.squared(threshold), self._geometry.points.dtype))
        if self.is_done or limit >= self._ceiling:
            return 0
        num_before = self._nearest.num
        for block in torch.split(self._waiting[self._nearest.bound[self._waiting] > limit], _BLOCK):
            if not self.is_full:
                self._nearest.look(block, float(np.nextafter(limit, np.inf, dtype=self._geometry.points.dtype)))
                self._accept_in_order(block[self._nearest.bound[block] > limit], limit)
        self._waiting = self._waiting[self._nearest.bound[self._waiting] >= 0]
        self._ceiling = float(self._nearest.bound[self._waiting].max()) if len(self._waiting) else 0.0
        return self._nearest.num - num_before

    def result(self, final_threshold: float, num_passes: int) -> FilterResult:
        """Return what was accepted, filled up in scan order."""
        num_filled = len(self._nearest.chosen) - self._nearest.num
        self._nearest.choose(self._waiting[:num_filled])
        return FilterResult(self._nearest.indices(), final_threshold, num_passes, num_filled)

    def _accept_in_order(self, block: Tensor, limit: float) -> None:
        """Accept candidates of a block whose distances to all accepted before the block exceed the limit."""
        i, j, squared = self._nearest.screen.close_pairs(block, limit)
        room = len(self._nearest.chosen) - self._nearest.num
        accepted = self._nearest.tensor(_independent(len(block), i.cpu().numpy(), j.cpu().numpy(), room))
        by_accepted = torch.isin(i, accepted)
        self._nearest.lower(block[j[by_accepted]], squared[by_accepted])
        self._nearest.choose(block[accepted])


def _independent(num: int, i: Indices, j: Indices, room: int) -> Indices:
    """Return the first `room` of 0..num - 1, in order, that no earlier one returned is paired with.

    Args:
        num: how many there are.
        i: the earlier of each pair, ascending.
        j: the later of each pair.
        room: how many to return at most.
    """
    free = np.ones(num, dtype=bool)
    starts = np.searchsorted(i, np.arange(num + 1))
    for row in np.unique(i):  # the others are paired with none after them
        if free[row]:
            free[j[starts[row] : starts[row + 1]]] = False
    return np.flatnonzero(free)[:room]
