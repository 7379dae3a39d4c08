"""Sampling: one shard of a generation's synthetic images, from its own seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from raycollapse.data.shards import write_shard
from raycollapse.diffusion.base import Device
from raycollapse.diffusion.sampling import Sampling
from raycollapse.schema import Json
from raycollapse.seeds import integer_seed, seed_sequence
from raycollapse.stages.base import Stage
from raycollapse.stages.features import Shard
from raycollapse.store import Store
from raycollapse.threads import limited_threads


@dataclass(frozen=True)
class SampleStage(Stage):
    """Writes `images.parquet`, a whole shard whatever the number of images asked for; labelled if conditional."""

    kind: ClassVar[str] = "sample"

    snapshot: str
    """Key of the train stage."""
    sampling: Sampling
    seed: int
    generation: int
    index: int
    """The shard's number within its generation."""
    device: Device
    threads: int

    def identity(self) -> dict[str, Json]:
        return {
            "sampling": self.sampling.identity(),
            "seed": [self.seed, self.generation, self.index],
            "device": self.device,
            "threads": self.threads,
            "input": self.snapshot,
        }

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        from raycollapse.diffusion.devices import device_name
        from raycollapse.diffusion.labels import draw_labels
        from raycollapse.diffusion.sampler import sample

        seed = integer_seed(seed_sequence(self.seed, self.generation, "sample", self.index))
        with limited_threads(self.threads):
            snapshot = store.folder("train", self.snapshot)
            labels = draw_labels(snapshot, self.sampling.shard_size, seed)
            images = sample(snapshot, self.sampling, self.sampling.shard_size, seed, self.device, labels)
        write_shard(folder / "images.parquet", images, labels)
        return {"num": len(images), "shape": list(images.shape[1:]), "device_name": device_name(self.device)}

    def shard(self) -> Shard:
        """Return the reference to the shard."""
        return Shard(self.kind, self.key, "images.parquet", self.sampling.shard_size)
