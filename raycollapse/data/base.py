"""What every data source is: the real images, split by seed into a train set, held-out images and a reserve."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raycollapse.data.balance import balanced_order, rarest_class
from raycollapse.data.loaded import Images, Labels, Loaded
from raycollapse.errors import RequestError
from raycollapse.schema import Json, Member
from raycollapse.seeds import seed_sequence

__all__ = ["DataSource", "Images", "Labels", "Loaded"]


class DataSource(Member):
    """Real data: the loop's generation 0, and as many held-out images that no model ever sees."""

    unhashed_at_default: ClassVar[frozenset[str]] = frozenset({"balanced"})

    num_train: int = Field(gt=0)
    """N: how many images every generation trains on, and every metric compares."""
    num_held_out: int | None = Field(default=None, gt=0)
    """How many further real images are kept apart to compare with; none: as many as `num_train`."""
    num_fresh: int = Field(default=0, ge=0)
    """How many further real images are kept in reserve, for paradigms that add new ones in each generation. Changing
    it changes no other image, so a run can be extended with a larger reserve."""
    balanced: bool = False
    """Draw as many images of every class, to within one; this needs labels. Otherwise all images are equally likely."""

    @abstractmethod
    def load(self) -> Loaded:
        """Return all there is, in an order that depends on the content only."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return what identifies the content: equal fingerprints load equal data."""

    def shape_hint(self) -> tuple[int, ...] | None:
        """Return (H, W, C), or (d,), where it can be known without loading everything; none otherwise."""
        return None

    def num_classes_hint(self) -> int | None:
        """Return how many classes there are, 0 if there are no labels, where it can be known without loading."""
        return None

    def split(self, seed: int) -> tuple[Loaded, Loaded]:
        """Return (train, held_out), disjoint.

        Both are runs of one permutation, drawn from the seed and the number of images alone, or, when balanced, also
        from the labels. So for one seed a smaller train set is a prefix of a larger one; the held-out images follow
        it, and shift with `num_train`. The reserve comes after both.
        """
        loaded, order = self._ordered(seed)
        end = self.num_train + self.resolved_num_held_out
        return loaded.take(order[: self.num_train]), loaded.take(order[self.num_train : end])

    def fresh(self, seed: int, generation: int, num: int) -> Loaded:
        """Return the real images that join the loop in a generation, the first being 1: `num` of the reserve.

        No other generation has any of them, and neither has the train set or the held-out images.
        """
        self.check_reserve(generation, num)
        loaded, order = self._ordered(seed)
        start = self.num_train + self.resolved_num_held_out + (generation - 1) * num
        return loaded.take(order[start : start + num])

    def check_reserve(self, generation: int, num: int) -> None:
        """Raise RequestError if the reserve does not hold `num` new images for each generation up to this one."""
        if generation * num > self.num_fresh:
            raise RequestError(
                f"data.num_fresh is {self.num_fresh:,}, but {num:,} new real images in each generation up to "
                f"{generation} are {generation * num:,}. Raise num_fresh to that, or add fewer in each."
            )

    @property
    def resolved_num_held_out(self) -> int:
        """How many images are held out, the default filled in."""
        return self.num_train if self.num_held_out is None else self.num_held_out

    def identity(self) -> dict[str, Json]:
        """The reserve's size is left out: it bounds what `fresh` may ask for, and changes no image."""
        own = {field: value for field, value in super().identity().items() if field != "num_fresh"}
        return {**own, "num_held_out": self.resolved_num_held_out, "fingerprint": self.fingerprint()}

    def _ordered(self, seed: int) -> tuple[Loaded, NDArray[np.int64]]:
        """Return everything, and the order in which its rows are used."""
        loaded = self.load()
        self._check_enough(loaded)
        order = np.random.default_rng(seed_sequence(seed, 0, "data")).permutation(len(loaded))
        if not self.balanced:
            return loaded, order
        return loaded, balanced_order(self._checked_classes(loaded), order)

    @property
    def _num_needed(self) -> int:
        return self.num_train + self.resolved_num_held_out + self.num_fresh

    @property
    def _sum_needed(self) -> str:
        return "data.num_train + data.num_held_out" + (" + data.num_fresh" if self.num_fresh else "")

    @property
    def _or_num_fresh(self) -> str:
        return ", or lower num_fresh" if self.num_fresh else ""

    def _check_enough(self, loaded: Loaded) -> None:
        if self._num_needed > len(loaded):
            things = "images" if len(loaded.shape) == 3 else "vectors"
            remedy = "set" if self.num_held_out is None else "lower"
            raise RequestError(
                f"{self._sum_needed} is {self._num_needed:,} but {self._described()} has "
                f"{len(loaded):,} {things}. Lower num_train or {remedy} num_held_out{self._or_num_fresh}."
            )

    def _checked_classes(self, loaded: Loaded) -> Labels:
        """Return the labels, if as many images as are needed can be drawn evenly."""
        if loaded.labels is None:
            raise RequestError(
                f"data.balanced is true, but {self._described()} has no labels. Set data.balanced to false."
            )
        rarest, count, most = rarest_class(loaded.labels)
        if self._num_needed > most:
            raise RequestError(
                f"data.balanced is true and {self._sum_needed} is {self._num_needed:,}, but {self._described()} has "
                f"only {count:,} images of class {rarest}: at most {most:,} can be drawn evenly. Lower num_train or "
                f"num_held_out{self._or_num_fresh}, or set data.balanced to false."
            )
        return loaded.labels

    def _described(self) -> str:
        return self.name
