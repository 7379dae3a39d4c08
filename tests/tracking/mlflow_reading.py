"""Generations recorded without training, and what MLflow has of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mlflow import MlflowClient
from mlflow.entities import Run

from raycollapse.tracking import GenerationRecord, TrialRecords

MakeTrial = Callable[..., TrialRecords]


def add_generation(trial: TrialRecords, generation: int, **metrics: float) -> GenerationRecord:
    """Record a generation with a train stage and a picture in the store."""
    store, key = trial.store, f"{generation:064d}"
    curve = [{"step": step, "loss": 1 / (generation * step)} for step in (50, 100)]

    def write_loss(folder: Path) -> dict[str, Any]:
        (folder / "loss.json").write_text(json.dumps(curve))
        return {}

    def write_picture(folder: Path) -> dict[str, Any]:
        (folder / "samples.png").write_bytes(b"a picture of generation %d" % generation)
        return {}

    if store.find("train", key) is None:
        store.commit("train", key, {}, write_loss)
        store.commit("picture", key, {}, write_picture)
    values = {"quality/fd": 100.0 * generation, "selection/real_share": 1.0 / generation}
    return trial.add(
        GenerationRecord(
            generation=generation,
            metrics={**values, **metrics},
            stages={"train": f"train/{key}", "picture": f"picture/{key}"},
            artifacts={"samples.png": f"picture/{key}"},
        )
    )


def runs_of(database: str, experiment: str = "q") -> list[Run]:
    client = MlflowClient(database)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id]))


def trial_run(database: str, trial: TrialRecords) -> Run:
    (run,) = [run for run in runs_of(database) if run.data.tags.get("raycollapse.trial_key") == trial.trial_key]
    return run


def history(database: str, run: Run, metric: str) -> list[tuple[int, float, int]]:
    entries = MlflowClient(database).get_metric_history(run.info.run_id, metric)
    return sorted((entry.step, entry.value, entry.timestamp) for entry in entries)


def assert_whole(database: str, trial: TrialRecords) -> None:
    """One run, with one entry for each value of each record, at the recorded time."""
    run = trial_run(database, trial)
    records = trial.read()
    for metric in ("quality/fd", "selection/real_share"):
        expected = [(r.generation, r.metrics[metric], round(1000 * r.timestamp)) for r in records]
        assert history(database, run, metric) == expected
    assert [step for step, _, _ in history(database, run, "train/loss")] == [
        100 * (r.generation - 1) + step for r in records for step in (50, 100)
    ]
    assert run.data.params["selection.name"] == "uniform"
    folder = Path(unquote(run.info.artifact_uri.removeprefix("file://")))
    for record in records:
        content = (folder / f"generation_{record.generation:04d}" / "samples.png").read_bytes()
        assert content == b"a picture of generation %d" % record.generation
