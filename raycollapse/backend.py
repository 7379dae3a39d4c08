"""Where stages are carried out: in this process. `distributed/ray_backend.py` adds a cluster."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from raycollapse.errors import DamagedStageError
from raycollapse.stages.base import Stage, make
from raycollapse.store import Manifest, Store

Unit = tuple[Stage, ...]
"""Stages carried out one after the other in one process: a shard's sampling and its features, say."""


class Backend(ABC):
    """Makes stages, and answers for those that are made."""

    store: Store
    """Where they are; a backend that makes none has none."""

    @abstractmethod
    def run(self, units: Sequence[Unit]) -> None:
        """Return once every stage of every unit is in the store."""

    def has(self, stage: Stage) -> bool:
        """Return whether a stage is in the store."""
        return self.store.find(stage.kind, stage.key) is not None

    def manifest(self, stage: Stage) -> Manifest:
        """Return the manifest of a stage that `run` has made."""
        found = self.store.find(stage.kind, stage.key)
        if found is None:
            raise DamagedStageError(f"{stage} is gone from {self.store.uri}; it has to be made anew.")
        return found


class LocalBackend(Backend):
    """Carries stages out in this process, one after the other."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def run(self, units: Sequence[Unit]) -> None:
        for unit in units:
            for stage in unit:
                make(stage, self.store)
