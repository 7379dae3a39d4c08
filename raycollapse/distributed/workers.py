"""What runs in the cluster's tasks and actors: making a unit of stages, and telling how it went.

A stage's own errors come back as values: they would otherwise arrive wrapped in a different exception for each of
Ray's layers. Anything else (a lost worker, a bug) is Ray's to raise or to retry.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from raycollapse.backend import Unit
from raycollapse.errors import DamagedStageError, RequestError, StageError
from raycollapse.stages.base import make
from raycollapse.store import Store

ERRORS: dict[str, type[Exception]] = {error.__name__: error for error in (DamagedStageError, RequestError, StageError)}

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """How a unit went."""

    error: str | None = None
    """The name of a class in `ERRORS`; none if all went well."""
    message: str = ""
    warnings: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Pass the worker's warnings on, and raise the error if there was one."""
        for warning in self.warnings:
            log.warning("%s", warning)
        if self.error is not None:
            raise ERRORS[self.error](self.message)


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
    with collected_warnings() as warnings:
        outcome = Outcome()
        try:
            for stage in unit:
                make(stage, open_store(uri))
        except (DamagedStageError, RequestError, StageError) as error:
            outcome = Outcome(type(error).__name__, str(error))
    outcome.warnings = warnings
    return outcome


class ShardMaker:
    """A Ray Data actor: each row is the number of a unit; the row that comes back says how it went."""

    def __init__(self, uri: str, units: list[Unit]) -> None:
        self._uri = uri
        self._units = units

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        return make_rows(batch, self._uri, self._units)


def make_rows(batch: dict[str, Any], uri: str, units: list[Unit]) -> dict[str, list[Any]]:
    """Do the same as a plain function, for warm worker processes instead of actors."""
    outcomes = [make_unit(uri, units[int(index)]) for index in batch["unit"]]
    return {
        "error": [outcome.error or "" for outcome in outcomes],
        "message": [outcome.message for outcome in outcomes],
        "warnings": ["\n".join(outcome.warnings) for outcome in outcomes],
    }


def outcome_of(row: dict[str, Any]) -> Outcome:
    """Return the outcome in a row that `make_rows` gave."""
    return Outcome(row["error"] or None, row["message"], row["warnings"].splitlines())
