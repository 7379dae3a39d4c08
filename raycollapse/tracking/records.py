"""The record of a trial: JSON lines in the storage, one per generation. Everything shown elsewhere is replayed from it.

A generation recorded again keeps the timestamp it had, so that a replay into MLflow doubles nothing. Each line bears
its own hash, so that one which was altered is found.
"""

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer

from raycollapse.errors import RequestError
from raycollapse.schema import Json
from raycollapse.store import Store
from raycollapse.store.seal import Sealed

log = logging.getLogger(__name__)


class GenerationRecord(Sealed):
    """One generation of one trial."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    generation: int
    timestamp: float = Field(default_factory=time.time)
    """Seconds since the epoch."""
    metrics: dict[str, float]
    stages: dict[str, str]
    """Role -> `<kind>/<key>` of the stage in the store."""
    artifacts: dict[str, str] = Field(default_factory=dict)
    """File name -> `<kind>/<key>` of the stage that holds it."""

    @field_serializer("metrics")
    def _strict_json(self, metrics: dict[str, float]) -> dict[str, Json]:
        """JSON has no NaN or infinity: they are written as text, which validation reads back."""
        return {name: value if abs(value) < float("inf") else str(value) for name, value in metrics.items()}


class Stop(BaseModel):
    """That a scheduler has stopped a trial."""

    model_config = ConfigDict(frozen=True)

    generation: int
    """The last one that was made."""
    reason: str
    rule: dict[str, Json]
    """The scheduler's settings: with others the verdict does not hold."""


class TrialRecords:
    """`<storage>/experiments/<experiment>/<trial_key>/`: `config.json`, `protocol.json`, `records.jsonl`, and more.

    The rest is what recorders keep.
    """

    def __init__(self, store: Store, experiment: str, trial_key: str) -> None:
        self.store = store
        self.experiment = experiment
        self.trial_key = trial_key
        self.path = f"experiments/{experiment}/{trial_key}"

    def read(self) -> list[GenerationRecord]:
        """Return the generations recorded so far, in order. A last line that breaks off is left out, and told.

        Raises:
            RequestError: any other line is not a record.
        """
        try:
            content = self.store.files.read(f"{self.path}/records.jsonl")
        except FileNotFoundError:
            return []
        *whole, rest = content.split(b"\n")
        records = [self._parse(line, number) for number, line in enumerate(whole, start=1)]
        if rest:
            try:
                records.append(GenerationRecord.model_validate_json(rest))
            except ValidationError:
                _warn_once(
                    f"{self.store.uri}/{self.path}/records.jsonl breaks off in line {len(records) + 1}, which is left "
                    "out. Running the experiment again records that generation anew."
                )
        return sorted(records, key=lambda record: record.generation)

    def _parse(self, line: bytes, number: int) -> GenerationRecord:
        try:
            return GenerationRecord.model_validate_json(line)
        except ValidationError as error:
            raise RequestError(
                f"{self.store.uri}/{self.path}/records.jsonl is damaged: line {number} is not a record of a generation "
                f"({error.errors()[0]['msg']}). Run the experiment again: finished stages are kept, the file is set "
                "aside, and what is missing is recorded anew. Or remove that line."
            ) from None

    def add(self, record: GenerationRecord) -> GenerationRecord:
        """Record a generation; metrics and the timestamp that it had from an earlier run are kept.

        Lines that are damaged go from the file, which is set aside as it was: the run records them anew in their turn.
        """
        try:
            known = {earlier.generation: earlier for earlier in self.read()}
        except RequestError:
            known = {earlier.generation: earlier for earlier in self._rescued()}
        if earlier := known.get(record.generation):
            record = record.model_copy(
                update={
                    "timestamp": earlier.timestamp,
                    "metrics": {**earlier.metrics, **record.metrics},
                    "stages": {**earlier.stages, **record.stages},
                }
            )
        known[record.generation] = record
        lines = [known[generation].sealed_json() for generation in sorted(known)]
        self.store.files.write(f"{self.path}/records.jsonl", ("\n".join(lines) + "\n").encode())
        return record

    def _rescued(self) -> list[GenerationRecord]:
        """Keep a copy of a damaged file; return the records in it that are whole."""
        file, aside = f"{self.path}/records.jsonl", f"{self.path}/records.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        log.warning("%s is damaged. A copy is set aside as %s, and what is missing is recorded anew.", file, aside)
        content = self.store.files.read(file)
        self.store.files.write(aside, content)
        found = []
        for line in content.split(b"\n"):
            with suppress(ValidationError):
                found.append(GenerationRecord.model_validate_json(line))
        return found

    def read_config(self) -> dict[str, Any] | None:
        """Return the resolved configuration that this trial ran with; none if it never started."""
        config: dict[str, Any] | None = self.store.read_json(f"{self.path}/config.json")
        return config

    def write_config(self, config: dict[str, Any]) -> None:
        """Keep the resolved configuration."""
        self.store.write_json(f"{self.path}/config.json", config)

    def read_protocol(self) -> dict[str, Any] | None:
        """Return how this trial was done (see `protocol`); none if no generation was recorded yet."""
        protocol: dict[str, Any] | None = self.store.read_json(f"{self.path}/protocol.json")
        return protocol

    def write_protocol(self, protocol: dict[str, Any]) -> None:
        """Keep how this trial is done."""
        self.store.write_json(f"{self.path}/protocol.json", protocol)

    def read_failure(self) -> str | None:
        """Return why the last run of this trial failed; none if it did not."""
        failure = self.store.read_json(f"{self.path}/failure.json")
        return None if failure is None else str(failure["reason"])

    def write_failure(self, reason: str | None) -> None:
        """Note why this trial failed, or forget an earlier failure."""
        if reason is None:
            self.store.files.remove(f"{self.path}/failure.json")
        else:
            self.store.write_json(f"{self.path}/failure.json", {"reason": reason})

    def read_stop(self) -> Stop | None:
        """Return at which generation this trial was stopped early, and why; none if it was not."""
        try:
            stop = self.store.read_json(f"{self.path}/stop.json")
        except RequestError as error:
            _warn_once(f"{error} The trial counts as not stopped.")
            return None
        return None if stop is None else Stop.model_validate(stop)

    def write_stop(self, stop: Stop | None) -> None:
        """Note that this trial was stopped early, or forget it."""
        if stop is None:
            self.store.files.remove(f"{self.path}/stop.json")
        else:
            self.store.write_json(f"{self.path}/stop.json", stop.model_dump(mode="json"))


@lru_cache(maxsize=1024)
def _warn_once(warning: str) -> None:
    """Records are read every few seconds while an experiment runs."""
    log.warning("%s", warning)


def trial_keys(store: Store, experiment: str) -> list[str]:
    """Return the keys of the trials that an experiment has in a storage."""
    return [key for key in store.files.children(f"experiments/{experiment}") if "." not in key]
