"""No selection: train on everything (the 2N row of arXiv 2509.16499's ablation under replace)."""

from typing import Literal

import numpy as np

from raycollapse.selection.base import SelectionStrategy
from raycollapse.selection.pool import Indices, Pool


class KeepAll(SelectionStrategy):
    """The whole pool, in random order, so that its first N are a fair draw. Ignores how many are asked for."""

    keeps_all = True

    name: Literal["keep_all"] = "keep_all"

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Indices:
        return rng.permutation(len(pool))
