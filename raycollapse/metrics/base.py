"""What every metric is, and what it sees."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raycollapse.features import AnyExtractor
from raycollapse.schema import Member


@dataclass(frozen=True)
class Points:
    """One set in one feature space."""

    features: NDArray[np.float32]
    """(n, d)"""
    generations: NDArray[np.int64]
    """(n,) the generation each point comes from; 0 = real."""

    def __len__(self) -> int:
        return len(self.features)

    def first(self, num: int) -> "Points":
        """Return the first `num` points (all, if there are fewer)."""
        return Points(self.features[:num], self.generations[:num])


class Metric(Member):
    """Measures one generation."""

    features: AnyExtractor | None = None
    """The space to measure in; none: the selection's. In another space names end in `_<space>`."""

    @abstractmethod
    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        """Yield (name, value).

        `real` and `synthetic` hold N = `num_train` points each. `train_set` is what this generation's model was
        trained on: N points too, or more under `keep_all`, whose order is random so that `first(N)` is a fair draw.
        """
