"""What greedy and threshold selection share: for each candidate, how far the chosen points may at most be.

A candidate's bound is the distance to the chosen points it has seen. Choosing more only lowers it, so it stays an upper
bound, and a candidate need not look again before its bound says that it might be chosen. No pair is looked at twice.
"""

import numpy as np
import torch
from torch import Tensor

from raycollapse.maths.screening import Screen, Vectors
from raycollapse.selection.pool import Indices

_CPU_BLOCK, _CPU_COLUMNS = 512, 1024  # products of this size stay in the cache
_GPU_BLOCK, _GPU_COLUMNS = 4096, 8192


class Nearest:
    """The points chosen so far, and a bound on each candidate's squared distance to them."""

    def __init__(self, screen: Screen, num_select: int) -> None:
        self.screen = screen
        device = screen.points.device
        self.bound = screen.points.new_full((len(screen),), torch.inf)  # -1: chosen
        self.chosen = torch.empty(num_select, dtype=torch.int64, device=device)
        self.num = 0
        self._seen = torch.zeros(len(screen), dtype=torch.int64, device=device)
        self._block = _CPU_BLOCK if screen.on_cpu else _GPU_BLOCK
        self._columns = _CPU_COLUMNS if screen.on_cpu else _GPU_COLUMNS

    def indices(self) -> Indices:
        """Return the chosen positions, in order."""
        return self.chosen[: self.num].cpu().numpy()

    def tensor(self, positions: Indices) -> Tensor:
        """Return positions as this device's tensor."""
        return torch.from_numpy(np.array(positions, np.int64, order="C")).to(self.chosen.device)

    def choose(self, positions: Tensor) -> None:
        """Add points to the chosen."""
        self.chosen[self.num : self.num + len(positions)] = positions
        self.num += len(positions)
        self.bound[positions] = -1.0

    def lower(self, positions: Tensor, squared: Tensor) -> None:
        """Lower bounds to squared distances to chosen points; a position may come several times."""
        self.bound.scatter_reduce_(0, positions, squared, "amin")

    def seen_all(self, positions: Tensor) -> None:
        """Note that the bounds of these candidates take all chosen points into account."""
        self._seen[positions] = self.num

    def look(self, positions: Tensor, stop: float) -> None:
        """Let candidates look at the chosen points they have not seen, until their squared bound falls under `stop`."""
        rows = self.screen.vectors(positions[self._seen[positions].argsort()])
        start = int(self._seen[rows.positions[0]]) if len(rows) else self.num
        for begin in range(start - start % self._columns, self.num, self._columns):
            end = min(begin + self._columns, self.num)
            rows = rows.where(self.bound[rows.positions] >= stop)
            num_behind = int((self._seen[rows.positions] < end).sum())
            columns = self.screen.vectors(self.chosen[begin:end])
            for first in range(0, num_behind, self._block):
                self._lower(rows[first : min(first + self._block, num_behind)], columns, stop, end)

    def _lower(self, rows: Vectors, columns: Vectors, stop: float, end: int) -> None:
        bound, complete = self.screen.lower(self.bound[rows.positions], rows, columns, stop)
        self.bound[rows.positions] = bound
        self._seen[rows.positions[complete]] = end
