"""Paradigms: what of the history the next train set may be chosen from."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from raycollapse.schema import Family, Member

Set = TypeVar("Set")


class Paradigm(Member):
    """Maps the history [real, synthetic of generation 1, 2, ...] to the sets that make up the pool."""

    oversample: int = Field(default=1, gt=0)
    """How many times N a selector sees of each synthetic generation."""

    @abstractmethod
    def pool(self, history: Sequence[Set]) -> tuple[Set, ...]:
        """Return the sets to choose from."""


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


AnyParadigm = Annotated[Replace | Accumulate | Window, Field(discriminator="name"), Family(Paradigm)]
