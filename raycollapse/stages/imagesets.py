"""References to images and their features in the store: nothing here holds pixels until it is asked for them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from raycollapse.data.base import Labels, Loaded
from raycollapse.data.shards import read_labels, read_shard
from raycollapse.features import FeatureExtractor
from raycollapse.metrics.base import Points
from raycollapse.schema import Json
from raycollapse.selection.pool import Features, Indices, Pool
from raycollapse.stages.features import FeaturesStage, Shard
from raycollapse.store import Store


@dataclass(frozen=True)
class ImageSet:
    """The first `num` images of a sequence of committed shards, all of one generation (0 = real)."""

    shards: tuple[Shard, ...]
    num: int
    generation: int

    def __len__(self) -> int:
        return self.num

    def first(self, num: int) -> "ImageSet":
        """Return the first `num` images, referring to no more shards than they fill."""
        if num > self.num:
            raise ValueError(f"{num} images asked for, but the set holds {self.num}")
        kept, total = [], 0
        for shard in self.shards:
            if total >= num:
                break
            kept.append(shard)
            total += shard.num
        return replace(self, shards=tuple(kept), num=num)

    def identity(self) -> Json:
        """Return what the images are: their shards' stages, and how many of them."""
        return {"shards": [[shard.key, shard.file] for shard in self.shards], "num": self.num}

    def load(self, store: Store) -> Loaded:
        """Return images (N, H, W, C) uint8 or vectors (N, d) float32, and labels (N,) where there are any."""
        parts = [read_shard(shard.path(store)) for shard in self.shards]
        images = np.concatenate([part.images for part in parts])[: self.num]
        if any(part.labels is None for part in parts):
            return Loaded(images)
        return Loaded(images, np.concatenate([part.labels for part in parts if part.labels is not None])[: self.num])

    def labels(self, store: Store) -> Labels | None:
        """Return labels (N,), none where a shard has none, without loading the images."""
        parts = [read_labels(shard.path(store)) for shard in self.shards]
        labelled = [part for part in parts if part is not None]
        return np.concatenate(labelled)[: self.num] if len(labelled) == len(parts) else None

    def features(self, store: Store, extractor: FeatureExtractor, device: str, threads: int) -> Features:
        """Return (N, d) float32 features, extracted earlier beside each shard."""
        parts = [FeaturesStage(shard, extractor, device, threads).load(store) for shard in self.shards]
        return np.concatenate(parts)[: self.num]

    def points(self, store: Store, extractor: FeatureExtractor, device: str, threads: int) -> Points:
        """Return what a metric sees of this set."""
        return Points(
            self.features(store, extractor, device, threads), np.full(self.num, self.generation, dtype=np.int64)
        )


def features_of(
    sources: tuple[ImageSet, ...], store: Store, extractor: FeatureExtractor, device: str, threads: int,
    rows: Indices | None = None,
) -> Features:  # fmt: skip
    """Return (n, d) float32 features of several sets, in their order.

    Args:
        sources: the sets.
        store: where they lie.
        extractor: the space.
        device: what they were extracted on.
        threads: and with how many.
        rows: ascending positions in the concatenated sets; then only theirs, and no more than one set is held beside.
    """
    kept, start = [], 0
    for source in sources:
        features = source.features(store, extractor, device, threads)
        if rows is not None:
            begin, end = np.searchsorted(rows, [start, start + len(source)])
            features = features[rows[begin:end] - start]
        kept.append(features)
        start += len(source)
    return np.concatenate(kept)


def pool_of(
    sources: tuple[ImageSet, ...], features: Callable[[], Features], rows: Indices | None = None,
    real: Callable[[], Features] | None = None,
) -> Pool:  # fmt: skip
    """Return the pool over several sets, in their order; of certain positions only, where `rows` are given."""
    parts = [np.stack([np.full(len(s), s.generation), np.arange(len(s))], axis=1) for s in sources]
    positions = np.concatenate(parts).astype(np.int64)
    return Pool(positions if rows is None else positions[rows], features, real)


@dataclass(frozen=True)
class TrainSet:
    """What one generation trains on: sources, and which of their images; never a copy of them."""

    sources: tuple[ImageSet, ...]
    selection: str | None = None
    """Key of the select stage that chose among the sources; none: all of their images."""

    def identity(self) -> Json:
        """Return the selection's key, or the sources where there was none."""
        return self.selection or [source.identity() for source in self.sources]

    def picks(self, store: Store) -> Indices:
        """Return positions in the concatenated sources, in training order."""
        if self.selection is None:
            return np.arange(sum(map(len, self.sources)), dtype=np.int64)
        picks: Indices = np.load(store.folder("select", self.selection) / "picks.npy", allow_pickle=False)
        return picks

    def load(self, store: Store) -> Loaded:
        """Return the images (and labels, where every source has them) that the model trains on."""
        picks, parts = self.picks(store), [source.load(store) for source in self.sources]
        images = np.concatenate([part.images for part in parts])[picks]
        if any(part.labels is None for part in parts):
            return Loaded(images)
        return Loaded(images, np.concatenate([part.labels for part in parts if part.labels is not None])[picks])

    def points(self, store: Store, extractor: FeatureExtractor, device: str, threads: int) -> Points:
        """Return what a metric sees of this set."""
        picks, parts = self.picks(store), [source.points(store, extractor, device, threads) for source in self.sources]
        features: NDArray[np.float32] = np.concatenate([part.features for part in parts])[picks]
        return Points(features, np.concatenate([part.generations for part in parts])[picks])
