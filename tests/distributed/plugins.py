"""Members of other people's packages, as workers import them by path: most of them are wrong."""

import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from raycollapse.selection import DistributedGreedy, Pool, SelectionStrategy
from raycollapse.selection.base import TwoRoundStrategy


class Buggy(SelectionStrategy):
    """Raises what is not ours."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        return {}["no such key"]


class Repeating(SelectionStrategy):
    """Returns the same position again and again."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        return np.zeros(num_select, dtype=np.int64)


class Crashing(SelectionStrategy):
    """Takes its process with it, as a fault in a C library does."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        os._exit(1)


class Talking(SelectionStrategy):
    """Works, and has something to say."""

    topic: str = "nothing"

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        logging.getLogger("raycollapse.plugins").warning("the pool has %d candidates\nand a second line", len(pool))
        return np.arange(num_select)


class Meeting(SelectionStrategy):
    """Goes on only while the one in the other place, 0 or 1, selects too."""

    folder: str
    place: int

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        Path(self.folder, f"place-{self.place}").touch()
        deadline = time.monotonic() + 120
        while not Path(self.folder, f"place-{1 - self.place}").exists():
            if time.monotonic() > deadline:
                raise TimeoutError("nobody came")
            time.sleep(0.01)
        return np.arange(num_select)


class MeetingGreedy(TwoRoundStrategy):
    """`distributed_greedy`, but a shard's choice ends only when others have been seen to choose elsewhere, or late."""

    meeting: str
    """A folder where each node at work leaves a file."""

    def shortlist(self, shard: Pool, num_pool: int, num_select: int, rng: np.random.Generator) -> Any:
        import ray

        folder, deadline = Path(self.meeting), time.monotonic() + 20
        (folder / ray.get_runtime_context().get_node_id()).touch()
        while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        return DistributedGreedy(num_shards=self.num_shards).shortlist(shard, num_pool, num_select, rng)

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        return DistributedGreedy(num_shards=self.num_shards).select(pool, num_select, rng)
