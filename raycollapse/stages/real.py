"""Generation 0: the real data, split into a train set and held-out images, and new ones of its reserve, as shards."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from raycollapse.data import DataSource
from raycollapse.data.base import Loaded
from raycollapse.data.shards import write_shard
from raycollapse.errors import RequestError
from raycollapse.schema import Json
from raycollapse.stages.base import Stage
from raycollapse.stages.features import Shard
from raycollapse.stages.imagesets import ImageSet
from raycollapse.store import Store


@dataclass(frozen=True)
class RealStage(Stage):
    """Loads, checks and splits a data source; writes `train-*.parquet` and `held_out-*.parquet`."""

    kind: ClassVar[str] = "real"

    data: DataSource
    seed: int
    shard_size: int

    def identity(self) -> dict[str, Json]:
        return {"data": self.data.identity(), "seed": self.seed, "shard_size": self.shard_size}

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        train, held_out = self.data.split(self.seed)
        self._check_counts(len(train), len(held_out))
        write_shards(folder, "train", train, self.shard_size)
        write_shards(folder, "held_out", held_out, self.shard_size)
        return {
            "num_train": len(train.images),
            "num_held_out": len(held_out.images),
            "shape": list(train.images.shape[1:]),
        }

    def _check_counts(self, num_train: int, num_held_out: int) -> None:
        """Raise RequestError if a source that splits in a way of its own gave other counts than all else reckons with.

        What a metric can do was decided by them, before anything was loaded.
        """
        for field, given, asked in (
            ("num_train", num_train, self.data.num_train),
            ("num_held_out", num_held_out, self.data.resolved_num_held_out),
        ):
            if given != asked:
                raise RequestError(
                    f"data.{field} is {asked:,}, but {self.data.name} returned {given:,} such images. Its split must "
                    f"return as many as {field} says, or {field} must say how many it returns."
                )

    def train(self) -> ImageSet:
        """Return the reference to the real train set, N images."""
        return image_set(self, "train", self.data.num_train, self.shard_size)

    def held_out(self) -> ImageSet:
        """Return the reference to the held-out real images."""
        return image_set(self, "held_out", self.data.resolved_num_held_out, self.shard_size)


@dataclass(frozen=True)
class FreshStage(Stage):
    """Takes the real images that join the loop in one generation from the reserve; writes `fresh-*.parquet`."""

    kind: ClassVar[str] = "fresh"

    data: DataSource
    seed: int
    generation: int
    """The generation after whose samples they come in; the next model trains on them."""
    num: int
    shard_size: int

    def identity(self) -> dict[str, Json]:
        return {
            "data": self.data.identity(),
            "seed": [self.seed, self.generation],
            "num": self.num,
            "shard_size": self.shard_size,
        }

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        fresh = self.data.fresh(self.seed, self.generation, self.num)
        write_shards(folder, "fresh", fresh, self.shard_size)
        return {"num": len(fresh), "shape": list(fresh.shape)}

    def images(self) -> ImageSet:
        """Return the reference to the new real images."""
        return image_set(self, "fresh", self.num, self.shard_size)


def write_shards(folder: Path, name: str, loaded: Loaded, shard_size: int) -> None:
    """Write images as `<name>-<index>.parquet` files of `shard_size` images each, the last one perhaps of fewer."""
    for index, start in enumerate(range(0, len(loaded.images), shard_size)):
        rows = slice(start, start + shard_size)
        labels = None if loaded.labels is None else loaded.labels[rows]
        write_shard(folder / _file(name, index), loaded.images[rows], labels)


def image_set(stage: Stage, name: str, num: int, shard_size: int, generation: int = 0) -> ImageSet:
    """Return the reference to what `write_shards` left in a stage."""
    shards = tuple(
        Shard(stage.kind, stage.key, _file(name, index), min(shard_size, num - start))
        for index, start in enumerate(range(0, num, shard_size))
    )
    return ImageSet(shards, num, generation)


def _file(name: str, index: int) -> str:
    return f"{name}-{index:05d}.parquet"
