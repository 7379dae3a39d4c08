"""What every selection strategy is."""

from abc import abstractmethod
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from raycollapse.schema import Member
from raycollapse.selection.pool import Indices, Pool


class SelectionStrategy(Member):
    """Chooses the next generation's train set from the pool."""

    needs_real: ClassVar[bool] = False
    """Whether it uses `pool.real`, the real train set, which then is among the inputs that decide its result."""

    keeps_all: ClassVar[bool] = False
    """Whether it returns the whole pool, however many are asked for."""

    @abstractmethod
    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        """Return (num_select,) distinct positions in the pool, in the order chosen."""

    def num_candidates(self, num_train: int, oversample: int) -> int:
        """Return how many samples of each generation this strategy wants to see."""
        return oversample * num_train

    def check_request(self, num_pool: int) -> None:
        """Raise RequestError if these settings cannot choose from the first pool, the smallest, of this many."""


class TwoRoundStrategy(SelectionStrategy):
    """Chooses in two rounds: within shards of the pool, each in a process of its own, then among what they chose.

    `select` is the second round: its pool is what the first one put forward. No process holds the whole pool.
    """

    num_shards: Annotated[int, Field(ge=1)] = 8
    """Into how many shards the pool is dealt; each is chosen from by a process of its own."""

    @abstractmethod
    def shortlist(self, shard: Pool, num_pool: int, num_select: int, rng: np.random.Generator) -> Indices:
        """Return distinct positions in the shard: what it puts forward.

        Args:
            shard: some of the pool.
            num_pool: how many candidates the whole pool has.
            num_select: how many are wanted of the whole pool; all shards together must put forward as many.
            rng: this shard's own.
        """
