"""Features of one shard in one space: extracted in the pass that sampled it, or later when a new space is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from raycollapse.data.shards import read_shard
from raycollapse.errors import StageError
from raycollapse.features import FeatureExtractor
from raycollapse.memory import told_what_to_lower
from raycollapse.schema import Json
from raycollapse.selection.pool import Features
from raycollapse.stages.base import Stage, stage_folder
from raycollapse.store import Store
from raycollapse.threads import limited_threads


@dataclass(frozen=True)
class Shard:
    """One committed Parquet file of images: the stage that wrote it, and its name there."""

    kind: str
    key: str
    file: str
    num: int

    def path(self, store: Store) -> Path:
        """Return a local path to the verified file."""
        return store.folder(self.kind, self.key) / self.file


@dataclass(frozen=True)
class FeaturesStage(Stage):
    """(n, d) float32 features of a shard, as `features.npy`."""

    kind: ClassVar[str] = "features"
    code_version: ClassVar[int] = 2  # 1 computed with whatever threads its process had

    shard: Shard
    extractor: FeatureExtractor
    device: str
    threads: int

    def identity(self) -> dict[str, Json]:
        return {
            "extractor": self.extractor.identity(),
            "device": self.device,
            "threads": self.threads,
            "input": [self.shard.key, self.shard.file],
        }

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        images = read_shard(self.shard.path(store)).images
        told = told_what_to_lower(
            f"{self.extractor.name}, for {len(images):,} images of {self.shard.file},",
            "Lower features.batch_size where the extractor has one (its last bits change with it), or "
            "sampling.shard_size.",
        )
        with limited_threads(self.threads), told:
            features = self.extractor.extract(images, self.device)
        if not np.isfinite(features).all():
            raise StageError(
                f"{self.extractor.name} gave non-finite features for {self.shard.file} of {self.shard.key[:12]}."
            )
        np.save(folder / "features.npy", features, allow_pickle=False)
        return {
            "num": len(features),
            "dim": features.shape[1],
            "space": self.extractor.space,
            "preparation": self.extractor.preparation(),
        }

    def load(self, store: Store) -> Features:
        """Return the stored features, (n, d) float32."""
        features: Features = np.load(stage_folder(self, store) / "features.npy", allow_pickle=False)
        return features
