"""What every selection strategy is."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from raycollapse.schema import Member
from raycollapse.selection.pool import Indices, Pool


class SelectionStrategy(Member):
    """Chooses the next generation's train set from the pool."""

    needs_real: ClassVar[bool] = False
    """Whether it uses `pool.real`, the real train set, which then is among the inputs that decide its result."""

    @abstractmethod
    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        """Return (num_select,) distinct positions in the pool, in the order chosen."""

    def num_candidates(self, num_train: int, oversample: int) -> int:
        """Return how many samples of each generation this strategy wants to see."""
        return oversample * num_train

    def check_request(self, num_pool: int) -> None:
        """Raise RequestError if these settings cannot choose from the first pool, the smallest, of this many."""
