"""Generation 1 from elsewhere: given images in the place of samples, as shards like any other."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from raycollapse.data import Loaded
from raycollapse.errors import RequestError
from raycollapse.schema import Json
from raycollapse.seeds import seed_sequence
from raycollapse.stages.base import Stage
from raycollapse.stages.imagesets import ImageSet
from raycollapse.stages.real import image_set, write_shards
from raycollapse.start import Start
from raycollapse.store import Store


@dataclass(frozen=True)
class GivenStage(Stage):
    """Draws from the given images, without replacement; writes `given-*.parquet`."""

    kind: ClassVar[str] = "given"

    start: Start
    seed: int
    num: int
    """How many are drawn: as many as would be sampled."""
    shard_size: int

    def identity(self) -> dict[str, Json]:
        return {
            "start": self.start.identity(),
            "seed": [self.seed, 1],
            "num": self.num,
            "shard_size": self.shard_size,
        }

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        loaded = self.start.load()
        if self.num > len(loaded):
            raise RequestError(
                f"start.images holds {len(loaded):,} images; {self.num:,} are needed, as many as would be sampled. "
                "Give more, or lower data.num_train or the paradigm's oversample."
            )
        drawn = np.random.default_rng(seed_sequence(self.seed, 1, "data")).permutation(len(loaded))[: self.num]
        images = Loaded(loaded.images[drawn], None if loaded.labels is None else loaded.labels[drawn])
        write_shards(folder, "given", images, self.shard_size)
        return {"num": len(images), "shape": list(images.shape)}

    def check_shape(self, shape: tuple[int, ...], real: tuple[int, ...]) -> None:
        """Raise RequestError unless the given images have the shape of the real ones."""
        if shape != real:
            raise RequestError(
                f"start.images have shape {shape}, the real ones {real}; they must agree. Set start.image_size or "
                "data's, or convert them."
            )

    def synthetic(self) -> ImageSet:
        """Return the reference to the images, as generation 1's."""
        return image_set(self, "given", self.num, self.shard_size, generation=1)
