"""What a disturbed run came to, held against one that was not disturbed: stages, records, and what MLflow has.

Left out is what cannot be the same: what stages cost (`cost/*`), and when they were made.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from raycollapse.errors import DamagedStageError
from raycollapse.store import Store
from raycollapse.tracking.records import GenerationRecord, TrialRecords, trial_keys

from .sweep import SWEEP

COST = "cost/"


@dataclass(frozen=True)
class Outcome:
    """One run of the sweep."""

    storage: Path
    mlflow: str
    """The server."""
    experiment: str
    """The experiment there."""


def unread_damage(storage: Path) -> list[str]:
    """Return the stages with a file that is not as it was written, which no run has read since; they are set aside."""
    store, found = Store(str(storage)), []
    for kind, key in sorted(_manifests(storage)):
        try:
            store.folder(kind, key)
        except DamagedStageError:
            found.append(f"{kind}/{key}")
    return found


def differences(disturbed: Outcome, undisturbed: Outcome) -> list[str]:
    """Return a line for each thing that one has and the other has not, or has otherwise, or twice."""
    return [
        *_compared("stage", _stages(disturbed.storage), _stages(undisturbed.storage)),
        *_compared("record", _records(disturbed.storage), _records(undisturbed.storage)),
        *_compared("MLflow", _mlflow(disturbed), _mlflow(undisturbed)),
        *_doubled(disturbed),
    ]


def _compared(what: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            yield f"{what} {name}: {_short(ours.get(name))}, undisturbed {_short(theirs.get(name))}"


def _short(value: Any) -> str:
    return "missing" if value is None else str(value)[:200]


def _manifests(storage: Path) -> dict[tuple[str, str], dict[str, Any]]:
    files = [file for file in storage.glob("stages/**/manifest.json") if ".damaged-" not in str(file)]
    found = [json.loads(file.read_bytes()) for file in files]
    return {(manifest["kind"], manifest["key"]): manifest for manifest in found}


def _stages(storage: Path) -> dict[str, Any]:
    """Return the hashes of every file of every finished stage, and the facts that were kept of it."""
    return {
        f"{kind}/{key}": ({name: entry["sha256"] for name, entry in manifest["files"].items()}, manifest["facts"])
        for (kind, key), manifest in _manifests(storage).items()
    }


def _records(storage: Path) -> dict[str, Any]:
    """Return the metrics and the stages of every generation that is recorded, by trial and place."""
    store, name = Store(str(storage)), str(SWEEP["name"])
    return {
        f"{key}, line {line}": (record.generation, _results(record), record.stages, record.artifacts)
        for key in trial_keys(store, name)
        for line, record in enumerate(TrialRecords(store, name, key).read(), start=1)
    }


def _results(record: GenerationRecord) -> dict[str, str]:
    return {name: repr(value) for name, value in record.metrics.items() if not name.startswith(COST)}


def _runs(outcome: Outcome) -> Iterator[tuple[str, Any]]:
    """Yield the runs in MLflow by what they stand for: a trial, or the sweep."""
    client = MlflowClient(outcome.mlflow)
    experiment = client.get_experiment_by_name(outcome.experiment)
    for run in [] if experiment is None else client.search_runs([experiment.experiment_id]):
        yield run.data.tags.get("raycollapse.trial_key", "sweep"), run


def _mlflow(outcome: Outcome) -> dict[str, Any]:
    """Return what MLflow has of each run: how it ended, its files, and of each metric every entry."""
    client, found = MlflowClient(outcome.mlflow), dict[str, Any]()
    for name, run in _runs(outcome):
        found[f"{name}, status"] = run.info.status
        found[f"{name}, parameters"] = run.data.params
        found[f"{name}, files"] = _files(client, run.info.run_id, None)
        for metric in run.data.metrics:
            entries = client.get_metric_history(run.info.run_id, metric)
            has_values = not metric.startswith(COST)
            found[f"{name}, {metric}"] = sorted((e.step, repr(e.value) if has_values else "") for e in entries)
    return found


def _files(client: MlflowClient, run_id: str, folder: str | None) -> list[str]:
    found = []
    for entry in client.list_artifacts(run_id, folder):
        found += _files(client, run_id, entry.path) if entry.is_dir else [entry.path]
    return sorted(found)


def _doubled(outcome: Outcome) -> Iterator[str]:
    """Yield the runs that stand for the same, and the results that were logged with two values."""
    seen: set[str] = set()
    for name, run in _runs(outcome):
        if name in seen:
            yield f"MLflow {name}: two runs"
        seen.add(name)
        for tag in run.data.tags:
            if tag.startswith("changed.") and not tag.startswith(f"changed.{COST}"):
                yield f"MLflow {name}: {tag}, so it had another value first"
