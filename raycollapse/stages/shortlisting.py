"""The first round of a selection in two: what each shard of the pool puts forward, made by a process of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from raycollapse.features import FeatureExtractor
from raycollapse.schema import Json
from raycollapse.seeds import seed_sequence
from raycollapse.selection import TwoRoundStrategy
from raycollapse.selection.pool import Indices
from raycollapse.stages.base import Stage, stage_folder
from raycollapse.stages.imagesets import ImageSet, features_of, pool_of
from raycollapse.stages.picks import check_picks
from raycollapse.store import Store
from raycollapse.threads import limited_threads


@dataclass(frozen=True)
class ShortlistStage(Stage):
    """Writes `picks.npy`: positions in the whole pool, in the order chosen."""

    kind: ClassVar[str] = "shortlist"

    parts: tuple[ImageSet, ...]
    offsets: tuple[int, ...]
    """Where in the pool each part begins."""
    strategy: TwoRoundStrategy
    extractor: FeatureExtractor
    num_pool: int
    """How many candidates the whole pool has."""
    num_select: int
    seed: int
    generation: int
    index: int
    """Which shard of the pool this is."""
    device: str
    threads: int

    def identity(self) -> dict[str, Json]:
        return {
            "strategy": self.strategy.identity(),
            "extractor": self.extractor.identity(),
            "num_pool": self.num_pool,
            "num_select": self.num_select,
            "seed": [self.seed, self.generation, self.index],
            "device": self.device,
            "threads": self.threads,
            "inputs": [part.identity() for part in self.parts],
            "offsets": list(self.offsets),
        }

    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        where = (store, self.extractor, self.device, self.threads)
        pool = pool_of(self.parts, lambda: features_of(self.parts, *where))
        rng = np.random.default_rng(seed_sequence(self.seed, self.generation, "select", self.index))
        with limited_threads(self.threads):
            picks = np.asarray(self.strategy.shortlist(pool, self.num_pool, self.num_select, rng))
        check_picks(picks, len(pool), self.strategy.name)
        starts = np.repeat(self.offsets, [len(part) for part in self.parts])
        within = np.concatenate([np.arange(len(part)) for part in self.parts])
        np.save(folder / "picks.npy", (starts + within)[picks].astype(np.int64), allow_pickle=False)
        return {"num": len(picks), "num_shard": len(pool)}

    def load(self, store: Store) -> Indices:
        """Return the positions in the whole pool."""
        picks: Indices = np.load(stage_folder(self, store) / "picks.npy", allow_pickle=False)
        return picks


def dealt(sources: tuple[ImageSet, ...], num_shards: int) -> list[tuple[tuple[ImageSet, ...], tuple[int, ...]]]:
    """Deal the sources' stored shards in turn, so that each shard of the pool is a fair sample of every source.

    Returns:
        For each of at most `num_shards` shards of the pool its parts, and where in the pool each of them begins.
    """
    parts: list[ImageSet] = []
    for source in sources:
        left = source.num
        for shard in source.shards:
            parts.append(ImageSet((shard,), min(shard.num, left), source.generation))
            left -= shard.num
    offsets = np.cumsum([0, *map(len, parts)])[:-1].tolist()
    return [
        (tuple(parts[start::num_shards]), tuple(offsets[start::num_shards]))
        for start in range(min(num_shards, len(parts)))
    ]
