"""What every metric is, and what it sees."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError
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

    min_num_train: ClassVar[int] = 1
    """The least N it can be computed from."""

    value_names: ClassVar[tuple[str, ...]] = ()
    """The names that it may yield, so that a search's objectives can be checked beforehand; none: not known."""

    features: AnyExtractor | None = None
    """The space to measure in; none: the selection's. In another space names end in `_<space>`."""

    @property
    def suffix(self) -> str:
        """What the names of values end in."""
        return "" if self.features is None else f"_{self.features.space}"

    @abstractmethod
    def measure(
        self, real: Points, held_out: Points, train_set: Points, synthetic: Points
    ) -> Iterator[tuple[str, float]]:
        """Yield (name, value).

        `real` and `synthetic` hold N = `num_train` points each. `train_set` is what this generation's model was
        trained on: N points too, or more under `keep_all`, whose order is random so that `first(N)` is a fair draw.
        """

    def check_request(self, where: str, num_train: int, num_held_out: int) -> None:
        """Raise RequestError if these settings cannot measure sets of these sizes: before anything is trained.

        Args:
            where: the path of this metric in the configuration, such as `metrics[1]`, for the error.
            num_train: N.
            num_held_out: how many real points are held out.
        """
        if num_train < self.min_num_train:
            raise RequestError(
                f"data.num_train is {num_train}, but {where} ({self.name}) needs {self.min_num_train} points at least. "
                "Raise data.num_train, or leave out that metric."
            )


def check_neighbour(path: str, k: int, num_train: int) -> None:
    """Raise RequestError unless each of N points has a k-th nearest other; `path` is the field's, for the error."""
    if k >= num_train:
        raise RequestError(
            f"{path} is {k}; with N = {num_train} (data.num_train) it must lie in 1..{num_train - 1}, the number of "
            "other points. Lower it, or raise data.num_train."
        )
