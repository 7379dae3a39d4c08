"""Sampling: one shard of a generation's synthetic images, from its own seed.

A shard that does not fit into memory is made with half the batch, which changes last bits: so it is another shard, with
the key that it has in an experiment which asks for that batch. A `HalvingStage` in the store says that it takes the
place of the first. Whoever needs the first, now or in a later run, finds that note and takes the other, until the note
is cleaned away with the experiment; so a run that is resumed on a larger machine goes on with what it had.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from raycollapse.data.shards import write_shard
from raycollapse.diffusion.base import Device
from raycollapse.diffusion.sampling import Sampling
from raycollapse.errors import HalvedShardError, StageError
from raycollapse.memory import first_line, is_out_of_memory
from raycollapse.schema import Json
from raycollapse.seeds import integer_seed, seed_sequence
from raycollapse.stages.base import Stage, make
from raycollapse.stages.features import Shard
from raycollapse.store import Manifest, Store
from raycollapse.threads import limited_threads


@dataclass(frozen=True)
class SampleStage(Stage):
    """Writes `images.parquet`, a whole shard whatever the number of images asked for; labelled if conditional.

    Its work ends with HalvedShardError where it does not fit into memory, or did not earlier: `halved` is to be made.
    """

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
        from raycollapse.diffusion.devices import device_name, free_unused
        from raycollapse.diffusion.labels import draw_labels

        note = HalvingStage(self).found(store)
        if note is not None:
            raise HalvedShardError(str(note.facts["shortage"]))
        seed = integer_seed(seed_sequence(self.seed, self.generation, "sample", self.index))
        snapshot = store.folder("train", self.snapshot)
        labels = draw_labels(snapshot, self.sampling.shard_size, seed)
        shortage = ""
        try:
            images = self._sampled(snapshot, seed, labels)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            shortage = first_line(error)
        if shortage:  # out of the block above, in which the error keeps alive what was allocated
            free_unused(self.device)
            self._halve(store, shortage)
        write_shard(folder / "images.parquet", images, labels)
        return {"num": len(images), "shape": list(images.shape[1:]), "device_name": device_name(self.device)}

    def _sampled(self, snapshot: Path, seed: int, labels: Any) -> Any:
        from raycollapse.diffusion.sampler import sample

        with limited_threads(self.threads):
            return sample(snapshot, self.sampling, self.sampling.shard_size, seed, self.device, labels)

    def _halve(self, store: Store, shortage: str) -> None:
        """Say in the store that half the batch takes the place of this one, make that shard, and end this attempt."""
        if self.num_together == 1:
            raise StageError(
                f"sampling one image at a time does not fit into memory ({shortage}). Lower sampling.shard_size, use a "
                "smaller denoiser or sampling.precision bf16, or a machine or GPU with more memory that is free."
            )
        note = HalvingStage(self, shortage)
        make(note, store)  # first, so that nobody takes what follows for something that no experiment refers to
        try:
            make(self.halved(), store)
        except HalvedShardError:
            pass  # it did not fit either, and there is a note of that too
        except StageError:
            store.remove(note.kind, note.key)  # no batch fits: a run with more memory starts from the first again
            raise
        raise HalvedShardError(shortage)

    @property
    def num_together(self) -> int:
        """How many images pass through the denoiser together."""
        return min(self.sampling.batch_size, self.sampling.shard_size)

    def halved(self) -> "SampleStage":
        """Return the shard that takes the place of this one where memory is short."""
        return replace(self, sampling=self.sampling.model_copy(update={"batch_size": self.num_together // 2}))

    def shard(self) -> Shard:
        """Return the reference to the shard."""
        return Shard(self.kind, self.key, "images.parquet", self.sampling.shard_size)


@dataclass(frozen=True)
class HalvingStage(Stage):
    """A note without files: a shard did not fit into memory, and the one with half its batch takes its place."""

    kind: ClassVar[str] = "halving"

    shard: SampleStage
    shortage: str = ""
    """What was said when memory ran out. It decides nothing."""

    def identity(self) -> dict[str, Json]:
        return {"input": self.shard.key}

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        half = self.shard.halved()
        return {"shortage": self.shortage, "made": half.key, "batch_size": half.sampling.batch_size}

    def found(self, store: Store) -> Manifest | None:
        """Return the note's manifest; none if there is no such note."""
        return store.find(self.kind, self.key)
