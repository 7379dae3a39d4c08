"""Measuring: one metric of one generation. A stage per metric, so that a metric added later costs only itself."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from raycollapse.features import FeatureExtractor
from raycollapse.metrics import Metric
from raycollapse.schema import Json
from raycollapse.stages.base import Stage, stage_folder
from raycollapse.stages.imagesets import ImageSet, TrainSet
from raycollapse.store import Store
from raycollapse.threads import limited_threads


@dataclass(frozen=True)
class MeasureStage(Stage):
    """Writes `metrics.json`: names and values."""

    kind: ClassVar[str] = "measure"

    metric: Metric
    extractor: FeatureExtractor
    """The space measured in: the metric's own, or the selection's."""
    real: ImageSet
    held_out: ImageSet
    train_set: TrainSet
    synthetic: ImageSet
    device: str
    threads: int

    def identity(self) -> dict[str, Json]:
        return {
            "metric": self.metric.identity(),
            "extractor": self.extractor.identity(),
            "device": self.device,
            "threads": self.threads,
            "inputs": [s.identity() for s in (self.real, self.held_out, self.train_set, self.synthetic)],
        }

    @property
    def role(self) -> str:
        """What a record calls it: distinct among the metrics of one experiment."""
        return f"measure-{self.metric.name}" + (f"-{self.extractor.space}" if self.metric.features is not None else "")

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        sets = (self.real, self.held_out, self.train_set, self.synthetic)
        with limited_threads(self.threads):
            points = [s.points(store, self.extractor, self.device, self.threads) for s in sets]
            values = {name + self.metric.suffix: float(value) for name, value in self.metric.measure(*points)}
        (folder / "metrics.json").write_text(json.dumps({name: _to_json(value) for name, value in values.items()}))
        real, held_out, train_set, synthetic = map(len, points)
        return {
            "space": self.extractor.space,
            "num_real": real, "num_held_out": held_out, "num_train_set": train_set, "num_synthetic": synthetic,
        }  # fmt: skip

    def load(self, store: Store) -> dict[str, float]:
        """Return the stored values by name; non-finite ones included."""
        stored = json.loads((stage_folder(self, store) / "metrics.json").read_text())
        return {name: float(value) for name, value in stored.items()}


def _to_json(value: float) -> Json:
    """Strict JSON has no NaN or infinity: they are stored as text that `float` reads back."""
    return value if math.isfinite(value) else str(value)
