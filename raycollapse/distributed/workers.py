"""What runs in the cluster's tasks and actors: making a unit of stages, and telling how it went.

An error of a stage comes back as a value: it would otherwise arrive wrapped in a different exception for each of Ray's
layers, and some of them would try again. A lost worker or node is Ray's to raise and to retry.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from ray import cloudpickle

from raycollapse.backend import Unit
from raycollapse.errors import DamagedStageError, FullDiskError, HalvedShardError, RequestError, StageError, describe
from raycollapse.stages.base import make
from raycollapse.store import Store

ERRORS: dict[str, type[Exception]] = {
    error.__name__: error for error in (DamagedStageError, FullDiskError, HalvedShardError, RequestError, StageError)
}

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """How a unit went."""

    error: str | None = None
    """The name of a class in `ERRORS`; none if all went well."""
    message: str = ""
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, error: Exception) -> "Outcome":
        """Return the outcome of an error: one that is not ours is a bug, and described with where it was raised."""
        name = type(error).__name__
        return cls(name, str(error)) if name in ERRORS else cls(StageError.__name__, describe(error))

    def settle(self) -> None:
        """Pass the worker's warnings on, and raise the error if there was one."""
        for warning in self.warnings:
            log.warning("%s", warning)
        if self.error is not None:
            raise ERRORS[self.error](self.message)


def settle_all(outcomes: Sequence[Outcome]) -> None:
    """Pass on what all of them warned of, then raise the first error: one that trying again may help comes last."""
    for outcome in outcomes:
        replace(outcome, error=None).settle()
    for outcome in sorted(outcomes, key=lambda outcome: outcome.error == HalvedShardError.__name__):
        replace(outcome, warnings=[]).settle()


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect what this package warns of within the block."""
    collector = _Collector()
    logger = logging.getLogger("raycollapse")
    logger.addHandler(collector)
    try:
        yield collector.messages
    finally:
        logger.removeHandler(collector)


@lru_cache(maxsize=4)
def open_store(uri: str) -> Store:
    """Return this process's store: one that remembers which files it has verified."""
    return Store(uri)


def make_unit(uri: str, unit: Unit) -> Outcome:
    """Make the stages of a unit, one after the other, in this process."""
    outcome = Outcome()
    with collected_warnings() as warnings:
        try:
            for stage in unit:
                make(stage, open_store(uri))
        except Exception as error:  # noqa: BLE001 (a bug in a plugin fails its trial, and trying again is of no use)
            outcome = Outcome.of(error)
        except KeyboardInterrupt:
            # Ray has cancelled this, because the work beside it was lost. The process must not serve again: it may
            # have been in the middle of importing a library, and a second import of half of torch is garbage.
            os._exit(1)
    outcome.warnings = warnings
    return outcome


def make_rows(batch: dict[str, Any], uri: str) -> dict[str, list[bytes]]:
    """Make the pickled units in a batch of Ray Data's rows; return their pickled outcomes."""
    outcomes = [make_unit(uri, unpack(unit)) for unit in batch["unit"]]
    return {"outcome": [pack(outcome) for outcome in outcomes]}


def pack(value: Unit | Outcome) -> bytes:
    """Return a value as bytes, for a row."""
    packed: bytes = cloudpickle.dumps(value)  # type: ignore[no-untyped-call]
    return packed


def unpack(value: bytes) -> Any:
    """Return what `pack` was given: bytes that came through Ray from our own driver or worker, never from storage."""
    return cloudpickle.loads(value)


class ShardMaker:
    """The same as an actor, which keeps its GPU and its snapshot from shard to shard."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return make_rows(batch, self._uri)
