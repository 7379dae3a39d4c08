"""One trial's run: what of its records MLflow has, and bringing over the rest."""

import json
import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raycollapse.tracking import projection
from raycollapse.tracking.mlflow_session import RunFile, Session, attach
from raycollapse.tracking.projection import MAX_TAG, Point, folder_of, milliseconds
from raycollapse.tracking.records import GenerationRecord, TrialRecords
from raycollapse.tracking.stage_files import read_stage_file

FAILURE_TAG = "raycollapse.failure"

log = logging.getLogger(__name__)


class TrialRun:
    """Replays one trial. What it has replayed it knows in memory only: a new process replays all and adds nothing."""

    def __init__(self, trial: TrialRecords) -> None:
        self.trial = trial
        self._file: RunFile | None = None
        self._tags: dict[str, str] = {}
        self._name = ""
        self._logged: dict[int, GenerationRecord] = {}
        self._num_generations = 0
        self._num_steps: dict[int, int] = {}
        """Optimizer steps by generation, as far as they are known."""

    def replay(self, session: Session, config: dict[str, Any], name: str) -> None:
        """Bring over parameters, tags, metrics and losses."""
        records = self.trial.read()
        tags = self._wanted_tags(session, config, records)
        params: dict[str, str] = {}
        if self._file is None:
            file = attach(session, self.trial.path, name, tags, records[0].timestamp if records else None)
            params = {k: v for k, v in projection.params(config).items() if k not in file.run.params}
            if file.run.status != "RUNNING":
                session.server.resume(file.run.run_id)
            self._file, self._tags, self._name = file, dict(file.run.tags), file.run.name
        new = [record for record in records if not _same(self._logged.get(record.generation), record)]
        points = [point for record in new for point in projection.metric_points(record)]
        points += self._losses(config, records, {record.generation for record in new})
        self._log(session, points, params, tags)
        self._logged |= {record.generation: record for record in new}
        self._num_generations = config["num_generations"]
        if self._name != name:
            session.server.rename(self._run_id, name)
            self._name = name

    def upload(self, session: Session) -> None:
        """Bring over the files of every generation that the run has not got."""
        assert self._file is not None
        for record in self._logged.values():
            for name, stage in record.artifacts.items():
                path = f"{folder_of(record)}/{name}"
                if self._file.files.get(path) == stage:
                    continue
                content = read_stage_file(self.trial.store, stage, name)
                if content is None:
                    log.info("%s of %s is not in the storage; MLflow does without it.", path, self.trial.trial_key)
                    continue
                with tempfile.TemporaryDirectory(prefix="raycollapse-") as scratch:
                    file = Path(scratch) / name
                    file.write_bytes(content)
                    session.server.upload(self._run_id, file, folder_of(record))
                self._file.files[path] = stage
                self._file.save(session, self.trial.path)

    def end(self, session: Session) -> str:
        """Note how the trial ended, and return that: `FINISHED`, `FAILED`, or `KILLED` if generations are missing."""
        last = max((record.timestamp for record in self._logged.values()), default=time.time())
        if self._tags.get(FAILURE_TAG) is not None:
            status = "FAILED"
        else:
            status = "FINISHED" if len(self._logged) >= self._num_generations else "KILLED"
        session.server.end(self._run_id, status, milliseconds(last if status == "FINISHED" else time.time()))
        return status

    @property
    def _run_id(self) -> str:
        assert self._file is not None
        return self._file.run.run_id

    def _wanted_tags(self, session: Session, config: dict[str, Any], records: list[GenerationRecord]) -> dict[str, str]:
        tags = {**projection.tags(config), "raycollapse.trial_key": self.trial.trial_key}
        if session.parent is not None:
            tags["mlflow.parentRunId"] = session.parent
        for record in records:
            tags |= projection.infinity_tags(record)
        failure = self.trial.read_failure()
        return tags if failure is None else {**tags, FAILURE_TAG: failure[:MAX_TAG]}

    def _log(self, session: Session, points: list[Point], params: dict[str, str], tags: dict[str, str]) -> None:
        changed = {name: value for name, value in tags.items() if self._tags.get(name) != value}
        if points or params or changed:
            session.server.log(self._run_id, points, params, changed)
        if FAILURE_TAG in self._tags and FAILURE_TAG not in tags:
            session.server.delete_tag(self._run_id, FAILURE_TAG)
        self._tags = tags

    def _losses(self, config: dict[str, Any], records: list[GenerationRecord], new: set[int]) -> Iterator[Point]:
        """Yield the loss curves of new generations, as long as it is known how many steps lie before them."""
        before = 0
        for record in records:
            if record.generation in new:
                curve = self._curve(record)
                yield from projection.loss_points(record, curve, before)
                self._num_steps[record.generation] = curve[-1]["step"] if curve else config["training"].get("num_steps")
            if self._num_steps[record.generation] is None:
                return
            before += self._num_steps[record.generation]

    def _curve(self, record: GenerationRecord) -> list[dict[str, Any]]:
        content = read_stage_file(self.trial.store, record.stages.get("train", "/"), "loss.json")
        curve: list[dict[str, Any]] = [] if content is None else json.loads(content)
        return curve


def _same(earlier: GenerationRecord | None, record: GenerationRecord) -> bool:
    """Compare as text: a NaN is not equal to itself."""
    return earlier is not None and earlier.model_dump_json() == record.model_dump_json()
