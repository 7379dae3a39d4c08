"""No selection: train on everything.

Under replace with `oversample: 2` this is the vanilla loop on 2N samples of arXiv 2509.16499's ablation, to be held
against a strategy that selects N of the same 2N. Under accumulate train sets grow by N in each generation, as those of
Gerstgrasser et al. 2024 (arXiv 2404.01413) do. Generation 1 trains on N real images in any case.

Metrics still compare N with N: the first N of the train set (a fair draw) and of the samples. Only what tells copies
(the generalization score and its like) asks for the nearest image in the whole train set, all that the model has seen.
With `training.num_epochs` twice as many images are twice as many optimizer steps; with `num_steps` there are as many.
"""

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
