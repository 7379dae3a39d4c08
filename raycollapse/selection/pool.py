"""The pool: what a strategy chooses from."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]  # (n, d)
Indices = NDArray[np.int64]  # (n,)


class Pool:
    """Candidates of several sources seen as one, in the selection's feature space.

    Args:
        sources: (n, 2) integers: each candidate's generation (0 = real) and its index within that generation's set.
        features: (n, d) float32, or a function that loads them when a strategy first asks.
    """

    def __init__(self, sources: NDArray[np.int64], features: Features | Callable[[], Features]) -> None:
        self.sources = sources
        self._features = features

    def __len__(self) -> int:
        return len(self.sources)

    @cached_property
    def features(self) -> Features:
        """(n, d) float32, in the order of `sources`."""
        return self._features() if callable(self._features) else self._features
