"""What a stage is: one verb of the loop with its inputs, found in the store by the hash of what decides its result."""

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from raycollapse.schema import Json
from raycollapse.store import Manifest, Store, content_key

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage(ABC):
    """A unit of work whose output is determined by its identity."""

    kind: ClassVar[str]
    code_version: ClassVar[int] = 1
    """Raised whenever the kind's results change: its stages are then made anew."""

    @abstractmethod
    def identity(self) -> dict[str, Json]:
        """Return what decides the result: own configuration, seed, keys of the inputs."""

    @abstractmethod
    def write(self, store: Store, folder: Path) -> dict[str, Json]:
        """Do the work: fill the folder with files, return facts for the manifest."""

    def clean_up(self, store: Store) -> None:  # noqa: B027 (most stages leave nothing behind)
        """Remove what only an unfinished stage needs; called once it is committed."""

    @cached_property
    def full_identity(self) -> dict[str, Json]:
        """The identity with the kind and its code version."""
        return {"kind": self.kind, "code_version": self.code_version, **self.identity()}

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of the full identity."""
        return content_key(self.full_identity)

    def __str__(self) -> str:
        return f"{self.kind} {self.key[:12]}"


def make(stage: Stage, store: Store) -> Manifest:
    """Return a stage's manifest, doing its work unless the store has it."""
    found = store.find(stage.kind, stage.key)
    if found is not None:
        return found
    manifest = store.commit(stage.kind, stage.key, stage.full_identity, lambda folder: stage.write(store, folder))
    stage.clean_up(store)
    return manifest


def stage_folder(stage: Stage, store: Store) -> Path:
    """Return a local folder with a finished stage's verified files."""
    return store.folder(stage.kind, stage.key)
