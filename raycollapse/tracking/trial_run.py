"""One trial's run: what of its records MLflow has, and bringing over the rest."""

import logging
import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import Any

from raycollapse.tracking import projection
from raycollapse.tracking.loss_curves import LOSS, LossCurve, missing_curves
from raycollapse.tracking.mlflow_session import RunFile, Session, attach
from raycollapse.tracking.projection import MAX_TAG, Point, folder_of, milliseconds
from raycollapse.tracking.records import GenerationRecord, TrialRecords
from raycollapse.tracking.run_contents import learn
from raycollapse.tracking.stage_files import read_stage_file

FAILURE_TAG = "raycollapse.failure"
STOP_TAG = "raycollapse.stopped_early"

log = logging.getLogger(__name__)


class TrialRun:
    """Replays one trial. What it has replayed it knows in memory only: a new process replays all and adds nothing."""

    def __init__(self, trial: TrialRecords) -> None:
        self.trial = trial
        self._file: RunFile | None = None
        self._tags: dict[str, str] = {}
        self._params: dict[str, str] = {}
        """Parameters that the run has not got."""
        self._name = ""
        self._replayed: dict[int, GenerationRecord] = {}
        self._num_generations = 0

    def replay(self, session: Session, config: dict[str, Any], name: str) -> None:
        """Bring over parameters, tags, metrics and losses."""
        records = self.trial.read()
        tags = self._own_tags(session, config)
        if self._file is None:
            self._attach(session, config, name, tags, records)
        records = [self._at_logged_time(record) for record in records]
        for record in records:
            tags |= projection.infinity_tags(record)
            tags |= projection.changed_tags(record, self._noted(record))
        new = [record for record in records if not _same(self._replayed.get(record.generation), record)]
        losses = self._losses(config, records)
        points = [*self._metrics(new), *(point for curve in losses.values() for point in curve.points)]
        self._log(session, points, tags)
        self._note(session, new, losses)
        self._num_generations = config["num_generations"]
        if self._name != name:
            session.server.rename(self._run_id, name)
            self._name = name

    def _attach(
        self, session: Session, config: dict[str, Any], name: str, tags: dict[str, str], records: list[GenerationRecord]
    ) -> None:
        """Find or make the run. Parameters that it has already stay: MLflow lets none change."""
        file = attach(session, self.trial.path, name, tags, records[0].timestamp if records else None)
        if file.run.status != "RUNNING":
            session.server.resume(file.run.run_id)
        self._params = {k: v for k, v in projection.params(config).items() if k not in file.run.params}
        learn(session, file, records)
        self._file, self._tags, self._name = file, dict(file.run.tags), file.run.name

    def upload(self, session: Session) -> None:
        """Bring over the files of every generation that the run has not got."""
        assert self._file is not None
        for record in self._replayed.values():
            for name, stage in record.artifacts.items():
                if self._file.files.get(f"{folder_of(record)}/{name}") != stage:
                    self._upload(session, record, name, stage)

    def end(self, session: Session) -> str:
        """Note how the trial ended, and return that: `FINISHED`, `FAILED`, or `KILLED` if generations are missing."""
        if FAILURE_TAG in self._tags:
            status = "FAILED"
        else:
            is_over = len(self._replayed) >= self._num_generations or STOP_TAG in self._tags
            status = "FINISHED" if is_over else "KILLED"
        last = max((record.timestamp for record in self._replayed.values()), default=time.time())
        session.server.end(self._run_id, status, milliseconds(last if status == "FINISHED" else time.time()))
        return status

    @property
    def _run_id(self) -> str:
        assert self._file is not None
        return self._file.run.run_id

    def _own_tags(self, session: Session, config: dict[str, Any]) -> dict[str, str]:
        tags = {**projection.tags(config), "raycollapse.trial_key": self.trial.trial_key}
        tags |= projection.protocol_tags(self.trial.read_protocol())
        if session.parent is not None:
            tags["mlflow.parentRunId"] = session.parent
        failure, stop = self.trial.read_failure(), self.trial.read_stop()
        tags |= {} if failure is None else {FAILURE_TAG: failure[:MAX_TAG]}
        return tags | ({} if stop is None else {STOP_TAG: stop.reason[:MAX_TAG]})

    def _noted(self, record: GenerationRecord) -> dict[str, str]:
        """Return what was logged first of a generation."""
        assert self._file is not None
        return self._file.values.get(str(record.generation), {})

    def _at_logged_time(self, record: GenerationRecord) -> GenerationRecord:
        """Return a record at the time at which MLflow has it: one that had to be made anew bears another."""
        assert self._file is not None
        time_logged = self._file.times.get(str(record.generation))
        return record if time_logged is None else record.model_copy(update={"timestamp": time_logged / 1000})

    def _metrics(self, records: list[GenerationRecord]) -> list[Point]:
        """Return the metrics of some records, without values that differ from those logged first."""
        return [
            point
            for record in records
            for point in projection.metric_points(record)
            if self._noted(record).get(point.name, repr(point.value)) == repr(point.value)
        ]

    def _losses(self, config: dict[str, Any], records: list[GenerationRecord]) -> dict[int, LossCurve]:
        assert self._file is not None
        known = {record.generation: int(self._noted(record)[LOSS]) for record in records if LOSS in self._noted(record)}
        curves = missing_curves(self.trial.store, records, known, config["training"].get("num_steps"))
        return {generation: curve.without(self._file.loss_steps) for generation, curve in curves.items()}

    def _note(self, session: Session, records: list[GenerationRecord], losses: dict[int, LossCurve]) -> None:
        """Keep what has been logged now."""
        assert self._file is not None
        for record in records:
            values = {point.name: repr(point.value) for point in projection.metric_points(record)}
            self._file.values[str(record.generation)] = {**values, **self._noted(record)}
            self._file.times[str(record.generation)] = milliseconds(record.timestamp)
            self._replayed[record.generation] = record
        for generation, curve in losses.items():
            self._file.values[str(generation)][LOSS] = str(curve.num_steps)
        if records or losses:
            self._file.save(session, self.trial.path)

    def _log(self, session: Session, points: list[Point], tags: dict[str, str]) -> None:
        changed = {name: value for name, value in tags.items() if self._tags.get(name) != value}
        if points or self._params or changed:
            session.server.log(self._run_id, points, self._params, changed)
        self._params = {}
        for tag in (FAILURE_TAG, STOP_TAG):
            if tag in self._tags and tag not in tags:
                session.server.delete_tag(self._run_id, tag)
        self._tags = tags

    def _upload(self, session: Session, record: GenerationRecord, name: str, stage: str) -> None:
        assert self._file is not None
        content = read_stage_file(self.trial.store, stage, name)
        if content is None:
            log.info("%s of %s is not in the storage any more; MLflow does without it.", name, stage)
            return
        target = PurePosixPath(folder_of(record)) / name
        with tempfile.TemporaryDirectory(prefix="raycollapse-") as scratch:
            file = Path(scratch) / target.name
            file.write_bytes(content)
            session.server.upload(self._run_id, file, str(target.parent))
        self._file.files[str(target)] = stage
        self._file.save(session, self.trial.path)


def _same(earlier: GenerationRecord | None, record: GenerationRecord) -> bool:
    """Compare as text: a NaN is not equal to itself."""
    return earlier is not None and earlier.model_dump_json() == record.model_dump_json()
