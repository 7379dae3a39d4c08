"""The pool: what a strategy chooses from."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError

Features = NDArray[np.float32]  # (n, d)
Indices = NDArray[np.int64]  # (n,)


class Pool:
    """Candidates of several sources seen as one, in the selection's feature space.

    Args:
        sources: (n, 2) integers: each candidate's generation (0 = real) and its index within that generation's set.
        features: (n, d) float32, or a function that loads them when a strategy first asks.
        real: (N, d) features of the real train set, or a function that loads them, for a strategy with `needs_real`.
    """

    def __init__(
        self,
        sources: NDArray[np.int64],
        features: Features | Callable[[], Features],
        real: Features | Callable[[], Features] | None = None,
    ) -> None:
        self.sources = sources
        self._features = features
        self._real = real

    def __len__(self) -> int:
        return len(self.sources)

    @cached_property
    def features(self) -> Features:
        """(n, d) float32, in the order of `sources`."""
        return self._features() if callable(self._features) else self._features

    @cached_property
    def real(self) -> Features:
        """(N, d) float32, the whole real train set, whether or not it is among the candidates."""
        if self._real is None:
            raise RequestError(
                "The pool was made without the real features. A strategy that uses pool.real must set its class "
                "variable needs_real = True; a Pool of your own must be given them: Pool(sources, features, real)."
            )
        return self._real() if callable(self._real) else self._real
