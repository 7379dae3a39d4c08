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
from raycollapse.selection import Indices, Pool, SelectionStrategy
from raycollapse.stages.base import Stage
from raycollapse.stages.imagesets import ImageSet, TrainSet, features_of, pool_of
from raycollapse.stages.picks import check_picks
from raycollapse.stages.shortlisting import ShortlistStage
from raycollapse.store import Store
from raycollapse.threads import limited_threads


@dataclass(frozen=True)
class SelectStage(Stage):
    """Writes `picks.npy`: positions in what is kept and the pool together, what is kept first, in the order chosen."""

    kind: ClassVar[str] = "select"

    sources: tuple[ImageSet, ...]
    strategy: SelectionStrategy
    extractor: FeatureExtractor
    num_select: int
    """How many are chosen from the pool, beside what is kept."""
    seed: int
    generation: int
    """The generation whose samples came in last; the picks train the next one."""
    device: str
    threads: int
    shortlists: tuple[ShortlistStage, ...] = ()
    """The first round of a strategy that chooses in two; there is no other candidate then."""
    real: ImageSet | None = None
    """The real train set, for a strategy that needs it; for any other none, so that its key does not depend on it."""
    kept: tuple[ImageSet, ...] = ()
    """Real images that are in the train set whatever is chosen, and are no candidates."""

    def identity(self) -> dict[str, Json]:
        first_round: dict[str, Json] = {"shortlists": [s.key for s in self.shortlists]} if self.shortlists else {}
        reference: dict[str, Json] = {} if self.real is None else {"real": self.real.identity()}
        kept: dict[str, Json] = {"kept": [one.identity() for one in self.kept]} if self.kept else {}
        return {
            **first_round,
            "strategy": self.strategy.identity(),
            "extractor": self.extractor.identity(),
            "num_select": self.num_select,
            "seed": [self.seed, self.generation],
            "device": self.device,
            "threads": self.threads,
            "inputs": [source.identity() for source in self.sources],
            **reference,
            **kept,
        }

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        rows = np.unique(np.concatenate([s.load(store) for s in self.shortlists])) if self.shortlists else None
        pool = self._pool(store, rows)
        rng = np.random.default_rng(seed_sequence(self.seed, self.generation, "select"))
        with limited_threads(self.threads):
            chosen = np.asarray(self.strategy.select(pool, self.num_select, rng))
        self._check(chosen, len(pool))
        picks = self._with_kept(chosen if rows is None else rows[chosen])
        np.save(folder / "picks.npy", picks, allow_pickle=False)
        return {"num": len(picks), "num_pool": sum(map(len, self.sources)), **self._provenance(picks)}

    def _with_kept(self, chosen: Indices) -> Indices:
        """Return positions in what is kept and the pool together, from those chosen in the pool."""
        num_kept = sum(map(len, self.kept))
        return np.concatenate([np.arange(num_kept), num_kept + chosen]).astype(np.int64)

    def _provenance(self, picks: Indices) -> dict[str, Json]:
        """Return how many picks each generation has, and the share of real ones."""
        sets = self.train_set().sources
        origins = np.repeat([one.generation for one in sets], [len(one) for one in sets])[picks]
        generations, counts = np.unique(origins, return_counts=True)
        return {
            "num_per_generation": {str(g): int(n) for g, n in zip(generations, counts, strict=True)},
            "real_share": float((origins == 0).mean()),
        }

    def _pool(self, store: Store, rows: Indices | None) -> Pool:
        where = (store, self.extractor, self.device, self.threads)
        real = None if self.real is None else partial(features_of, (self.real,), *where)
        return pool_of(self.sources, partial(features_of, self.sources, *where, rows), rows, real)

    def _check(self, picks: np.ndarray[tuple[int], np.dtype[np.int64]], num_pool: int) -> None:
        check_picks(picks, num_pool, self.strategy.name)
        if len(picks) < self.num_select:
            raise StageError(f"{self.strategy.name} returned {len(picks)} positions; {self.num_select} are needed.")
        if self.kept and len(picks) > self.num_select:
            raise StageError(
                f"{self.strategy.name} returned {len(picks)} positions; exactly {self.num_select} are needed beside "
                "the real images that the paradigm keeps, or their share would be another."
            )

    def train_set(self) -> TrainSet:
        """Return the reference to what was chosen."""
        return TrainSet((*self.kept, *self.sources), self.key)
