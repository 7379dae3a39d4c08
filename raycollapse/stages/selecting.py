"""Selecting: which of the pool's images the next model trains on."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from raycollapse.errors import StageError
from raycollapse.features import FeatureExtractor
from raycollapse.schema import Json
from raycollapse.seeds import seed_sequence
from raycollapse.selection import Features, Pool, SelectionStrategy
from raycollapse.stages.base import Stage
from raycollapse.stages.imagesets import ImageSet, TrainSet, pool_of
from raycollapse.store import Store
from raycollapse.threads import limited_threads


@dataclass(frozen=True)
class SelectStage(Stage):
    """Writes `picks.npy`: positions in the pool, in the order chosen."""

    kind: ClassVar[str] = "select"

    sources: tuple[ImageSet, ...]
    strategy: SelectionStrategy
    extractor: FeatureExtractor
    num_select: int
    seed: int
    generation: int
    """The generation whose samples came in last; the picks train the next one."""
    device: str
    threads: int
    real: ImageSet | None = None
    """The real train set, for a strategy that needs it; for any other none, so that its key does not depend on it."""

    def identity(self) -> dict[str, Json]:
        reference: dict[str, Json] = {} if self.real is None else {"real": self.real.identity()}
        return {
            "strategy": self.strategy.identity(),
            "extractor": self.extractor.identity(),
            "num_select": self.num_select,
            "seed": [self.seed, self.generation],
            "device": self.device,
            "threads": self.threads,
            "inputs": [source.identity() for source in self.sources],
            **reference,
        }

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        pool = self._pool(store)
        rng = np.random.default_rng(seed_sequence(self.seed, self.generation, "select"))
        with limited_threads(self.threads):
            picks = np.asarray(self.strategy.select(pool, self.num_select, rng))
        self._check(picks, len(pool))
        np.save(folder / "picks.npy", picks.astype(np.int64), allow_pickle=False)
        generations, counts = np.unique(pool.sources[picks, 0], return_counts=True)
        return {
            "num": len(picks),
            "num_pool": len(pool),
            "num_per_generation": {str(g): int(n) for g, n in zip(generations, counts, strict=True)},
            "real_share": float((pool.sources[picks, 0] == 0).mean()),
        }

    def _pool(self, store: Store) -> Pool:
        def load(*sets: ImageSet) -> Features:
            return np.concatenate([one.features(store, self.extractor, self.device) for one in sets])

        real = None if self.real is None else partial(load, self.real)
        return pool_of(self.sources, partial(load, *self.sources), real)

    def _check(self, picks: np.ndarray[tuple[int], np.dtype[np.int64]], num_pool: int) -> None:
        """A strategy of someone else's may be wrong: say so before a model is trained on its picks."""
        if picks.ndim != 1 or picks.dtype.kind not in "iu" or len(picks) == 0:
            raise StageError(f"{self.strategy.name} must return a vector of integers, not {picks.dtype} {picks.shape}.")
        if picks.min() < 0 or picks.max() >= num_pool or len(np.unique(picks)) != len(picks):
            raise StageError(f"{self.strategy.name} must return distinct positions from 0 to {num_pool - 1}.")
        if len(picks) < self.num_select:
            raise StageError(f"{self.strategy.name} returned {len(picks)} positions; {self.num_select} are needed.")

    def train_set(self) -> TrainSet:
        """Return the reference to what was chosen."""
        return TrainSet(self.sources, self.key)
