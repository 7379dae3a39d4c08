"""Pictures of one generation: a grid of samples, and samples beside their nearest training images."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from raycollapse.features import FeatureExtractor
from raycollapse.maths.neighbours import nearest
from raycollapse.schema import Json
from raycollapse.stages.base import Stage
from raycollapse.stages.imagesets import ImageSet, TrainSet
from raycollapse.stages.pictures import sample_grid, scatter_plot, side_by_side
from raycollapse.store import Store
from raycollapse.threads import limited_threads

GRID_IMAGES = 64
PAIRS = 16


@dataclass(frozen=True)
class PictureStage(Stage):
    """Writes `samples.png` and, for images, `nearest_neighbours.png`: samples above, their nearest neighbours below."""

    kind: ClassVar[str] = "picture"

    extractor: FeatureExtractor
    train_set: TrainSet
    synthetic: ImageSet
    device: str
    threads: int

    def identity(self) -> dict[str, Json]:
        inputs: list[Json] = [self.train_set.identity(), self.synthetic.identity()]
        return {"extractor": self.extractor.identity(), "device": self.device, "inputs": inputs}

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        synthetic = self.synthetic.load(store)
        images = synthetic.images
        if images.ndim == 2:
            scatter_plot(images, folder / "samples.png")
            return {"files": ["samples.png"]}
        shown = np.arange(min(len(images), GRID_IMAGES))
        if synthetic.labels is not None:  # by class
            shown = shown[np.argsort(synthetic.labels[shown], kind="stable")]
        sample_grid(images[shown], folder / "samples.png")
        queries = self.synthetic.features(store, self.extractor, self.device, self.threads)[:PAIRS]
        with limited_threads(self.threads):
            points = self.train_set.points(store, self.extractor, self.device, self.threads)
            _, indices = nearest(queries, points.features, k=1)
        neighbours = self.train_set.load(store).images[indices[:, 0]]
        side_by_side(images[:PAIRS], neighbours, folder / "nearest_neighbours.png")
        return {"files": ["samples.png", "nearest_neighbours.png"]}
