"""One tree of seeds: (seed, generation, stage[, shard]).

Strategies and trials do not enter it, so trials that agree up to a generation share its samples bit for bit.
"""

from typing import Literal

import numpy as np

SeededStage = Literal["data", "train", "sample", "select", "measure"]

_BRANCH: dict[SeededStage, int] = {"data": 0, "train": 1, "sample": 2, "select": 3, "measure": 4}


def seed_sequence(seed: int, generation: int, stage: SeededStage, shard: int | None = None) -> np.random.SeedSequence:
    """Return the node of the seed tree; distinct arguments give independent streams.

    >>> int(seed_sequence(0, 1, "sample", 3).generate_state(1)[0])
    51760083
    """
    path = (generation, _BRANCH[stage]) if shard is None else (generation, _BRANCH[stage], shard)
    return np.random.SeedSequence(seed, spawn_key=path)


def integer_seed(sequence: np.random.SeedSequence) -> int:
    """Return a non-negative 63-bit integer for generators that take one (torch)."""
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
