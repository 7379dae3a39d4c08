"""Training: a model on one generation's train set, from scratch or from the snapshot of the generation before."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from raycollapse.diffusion import Denoiser
from raycollapse.diffusion.base import Device
from raycollapse.diffusion.training import Training
from raycollapse.errors import DamagedStageError
from raycollapse.memory import told_what_to_lower
from raycollapse.schema import Json
from raycollapse.seeds import integer_seed, seed_sequence
from raycollapse.stages.base import Stage
from raycollapse.stages.imagesets import TrainSet
from raycollapse.store import Store
from raycollapse.threads import limited_threads

if TYPE_CHECKING:
    from raycollapse.diffusion.snapshot import Trained

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainStage(Stage):
    """Writes the snapshot: weights, their configuration, and the loss curve."""

    kind: ClassVar[str] = "train"

    train_set: TrainSet
    denoiser: Denoiser
    training: Training
    seed: int
    generation: int
    device: Device
    threads: int
    num_workers: int
    initial: str | None = None
    """Key of the train stage whose snapshot this one starts from; none: random weights."""

    def identity(self) -> dict[str, Json]:
        start: dict[str, Json] = {} if self.initial is None else {"initial": self.initial}
        return {
            "denoiser": self.denoiser.identity(),
            "training": self.training.identity(),
            "seed": [self.seed, self.generation],
            "device": self.device,
            "threads": self.threads,
            "world_size": self.num_workers,
            "input": self.train_set.identity(),
            **start,
        }

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        from raycollapse.diffusion.snapshot import save_snapshot

        trained = self.train(store)
        save_snapshot(trained, folder)
        return trained.facts

    def train(self, store: Store) -> "Trained":
        """Train, or go on from the latest checkpoint. Under several workers each of them calls this."""
        from raycollapse.diffusion.trainer import train

        seed = integer_seed(seed_sequence(self.seed, self.generation, "train"))
        checkpoints = StageCheckpoints(store, self.key)
        told = told_what_to_lower(
            f"training the model of generation {self.generation}",
            "Lower training.batch_size, which is another model, or use a smaller denoiser or training.precision bf16.",
        )
        with limited_threads(self.threads), told:
            loaded = self.train_set.load(store)
            initial = None if self.initial is None else store.folder("train", self.initial)
            return train(
                loaded.images, self.denoiser, self.training, seed, checkpoints, self.device, loaded.labels, initial
            )

    def clean_up(self, store: Store) -> None:
        StageCheckpoints(store, self.key).clear()


class StageCheckpoints:
    """A train stage's checkpoints, committed to the store like stages, so that a damaged one is found and left out."""

    def __init__(self, store: Store, stage: str) -> None:
        self._store = store
        self._stage = stage
        self._kind = f"checkpoint/{stage}"

    def latest(self) -> tuple[int, Path] | None:
        """Return the newest step whose checkpoint verifies, and a local folder with its files."""
        for name in reversed(self._store.keys(self._kind)):
            if self._store.find(self._kind, name) is None:
                continue  # its writer was killed, or it is damaged, and set aside with a warning
            try:
                return int(name), self._store.folder(self._kind, name)
            except DamagedStageError as error:
                log.warning("Falling back to an earlier checkpoint: %s", error)
        return None

    def steps(self) -> list[str]:
        """Return the names of all that are there, whole or not."""
        return self._store.keys(self._kind)

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Commit a checkpoint, then drop the earlier ones."""

        def fill(folder: Path) -> dict[str, Json]:
            write(folder)
            return {"step": step}

        name = f"{step:09d}"
        try:
            self._store.commit(self._kind, name, {"step": step}, fill)
        except Exception:
            if not self._is_overtaken(name):
                raise
            return  # whoever is ahead of us has dropped this checkpoint while it was written
        for earlier in self._store.keys(self._kind):
            if earlier < name:
                self._store.remove(self._kind, earlier)

    def _is_overtaken(self, name: str) -> bool:
        """Return whether another process has finished this stage, or has a later checkpoint of it."""
        if self._store.find("train", self._stage) is not None:
            return True
        later = [other for other in self._store.keys(self._kind) if other > name]
        return any(self._store.find(self._kind, other) is not None for other in later)

    def clear(self) -> None:
        """Drop them all: the snapshot is there."""
        self._store.remove(self._kind)
