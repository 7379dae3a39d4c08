"""Paradigms: what of the history the next train set may be chosen from, and which real images it holds anyway.

Alemohammad et al. 2023 (arXiv 2307.01850) tell apart loops without real data, with the same real data in every train
set (here `augment`), and with new real data in each (`fresh`). Gerstgrasser et al. 2024 (arXiv 2404.01413) set
`replace` against `accumulate`.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeVar

from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.schema import Family, Member

if TYPE_CHECKING:
    from raycollapse.data import DataSource
    from raycollapse.selection import SelectionStrategy

Set = TypeVar("Set")


class Paradigm(Member):
    """Maps the history [real, synthetic of generation 1, 2, ...] to the sets that make up the pool."""

    needs_fresh: ClassVar[bool] = False
    """Whether the images of `num_real` are new ones in each generation; else they are the real train set's first."""

    oversample: int = Field(default=1, gt=0)
    """How many times N a selector sees of each synthetic generation."""

    @abstractmethod
    def pool(self, history: Sequence[Set]) -> tuple[Set, ...]:
        """Return the sets to choose from."""

    def num_real(self, num_train: int) -> int:
        """Return how many of the N images of each train set are real whatever is selected; the rest is chosen."""
        return 0

    def check_request(self, data: "DataSource", selection: "SelectionStrategy", num_generations: int) -> None:
        """Raise RequestError if these real images cannot be had, or the rest not be chosen, in every generation."""
        num_real = self.num_real(data.num_train)
        if num_real and selection.keeps_all:
            raise RequestError(
                f"{selection.name} trains on the whole pool, so {self.name} could not hold the share of real images at "
                f"{num_real / data.num_train:g}. Use another strategy, or {selection.name} with replace or accumulate."
            )
        if self.needs_fresh:
            data.check_reserve(num_generations - 1, num_real)


class Replace(Paradigm):
    """Only the newest samples: real data are seen once, by generation 1."""

    name: Literal["replace"] = "replace"
    oversample: int = Field(default=2, gt=0)
    """How many times N a selector sees of each synthetic generation; the paper samples 2N."""

    def pool(self, history: Sequence[Set]) -> tuple[Set, ...]:
        return (history[-1],)


class Accumulate(Paradigm):
    """The real data and every generation's samples."""

    name: Literal["accumulate"] = "accumulate"

    def pool(self, history: Sequence[Set]) -> tuple[Set, ...]:
        return tuple(history)


class Window(Paradigm):
    """The newest generations only. While none has fallen out of the window this is `accumulate`."""

    name: Literal["window"] = "window"
    num_newest: int = Field(gt=0)
    """How many generations the pool spans. The real data are generation 0 and count as one, the first to fall out."""
    keep_real: bool = False
    """Whether the real data stay in the pool for good, beside the `num_newest` newest synthetic generations."""

    def pool(self, history: Sequence[Set]) -> tuple[Set, ...]:
        if self.keep_real:
            return (history[0], *history[1:][-self.num_newest :])
        return tuple(history[-self.num_newest :])


class RealShare(Paradigm):
    """A fixed share of each train set is real; the rest is chosen from the newest samples."""

    oversample: int = Field(default=2, gt=0)
    """How many times N a selector sees of each synthetic generation."""
    real_share: float = Field(default=0.5, gt=0, lt=1)
    """The share of real images in every train set after the first, 0 to 1; at N = 100, 0.25 is 25 images."""

    def pool(self, history: Sequence[Set]) -> tuple[Set, ...]:
        return (history[-1],)

    def num_real(self, num_train: int) -> int:
        num = round(self.real_share * num_train)
        if not 0 < num < num_train:
            raise RequestError(
                f"paradigm.real_share is {self.real_share:g}, which is {num} of {num_train} images; a train set needs "
                f"real and selected ones. Use {1 / num_train:.2g} or more, and less than 1, or a larger num_train."
            )
        return num


class Augment(RealShare):
    """The same real images are in every train set."""

    name: Literal["augment"] = "augment"


class Fresh(RealShare):
    """Real images that no model has seen are in every train set; `data.num_fresh` is the reserve they come from."""

    needs_fresh = True

    name: Literal["fresh"] = "fresh"


AnyParadigm = Annotated[Replace | Accumulate | Window | Augment | Fresh, Field(discriminator="name"), Family(Paradigm)]
