"""What a strategy returned, checked before a model is trained on it: someone else's may be wrong."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import StageError


def check_picks(picks: NDArray[Any], num_pool: int, strategy: str) -> None:
    """Raise StageError unless `picks` are distinct positions in a pool of `num_pool`."""
    if picks.ndim != 1 or picks.dtype.kind not in "iu" or len(picks) == 0:
        raise StageError(f"{strategy} must return a vector of integers, not {picks.dtype} {picks.shape}.")
    if picks.min() < 0 or picks.max() >= num_pool or len(np.unique(picks)) != len(picks):
        raise StageError(f"{strategy} must return distinct positions from 0 to {num_pool - 1}.")
