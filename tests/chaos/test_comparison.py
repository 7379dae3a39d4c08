"""A comparison that finds nothing is worth something only if it finds what is there: each kind of loss and doubling."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from rich.console import Console

from experiments.chaos.comparison import Outcome, differences, unread_damage
from experiments.chaos.sweep import SWEEP
from raycollapse.config import build
from raycollapse.runner import run_here
from raycollapse.store import Store
from raycollapse.tracking.mlflow_recorder import MlflowRecorder
from raycollapse.tracking.records import TrialRecords, trial_keys

QUICK = {
    "training": {**SWEEP["training"], "num_steps": 4}, "sampling": {**SWEEP["sampling"], "num_steps": 2},
    "num_generations": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """An undisturbed run, and a copy of it that may be changed."""

    ours: Outcome
    theirs: Outcome

    @property
    def trial(self) -> TrialRecords:
        """One of our trials."""
        store = Store(str(self.ours.storage))
        return TrialRecords(store, "chaos", trial_keys(store, "chaos")[0])

    def run_id(self) -> str:
        """Return that trial's run in MLflow."""
        return str(self.trial.store.read_json(f"{self.trial.path}/mlflow.json")["run_id"])

    def client(self) -> MlflowClient:
        """Return MLflow."""
        return MlflowClient(self.ours.mlflow)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an undisturbed run."""
    folder = tmp_path_factory.mktemp("chaos")
    tracking = {"mlflow_uri": f"sqlite:///{folder}/mlflow.db", "mlflow_experiment": "undisturbed"}
    changes = {**QUICK, "storage": str(folder / "undisturbed"), "tracking": tracking}
    assert not run_here(build({**SWEEP, **changes}), Console(quiet=True)).failures
    return folder


@pytest.fixture
def pair(made: Path, tmp_path: Path) -> Pair:
    shutil.copytree(made, tmp_path / "made")
    uri, storage = f"sqlite:///{tmp_path}/made/mlflow.db", tmp_path / "made" / "undisturbed"
    shutil.copytree(storage, tmp_path / "ours")
    for file in [*(tmp_path / "ours").rglob("mlflow.json"), *(tmp_path / "ours").rglob("id.json")]:
        file.unlink()
    store = Store(str(tmp_path / "ours"))
    trials = [TrialRecords(store, "chaos", key) for key in trial_keys(store, "chaos")]
    recorder = MlflowRecorder(store, "chaos", uri=uri, mlflow_experiment="ours", is_sweep=True)
    recorder.sync(trials)
    recorder.finish(trials)
    return Pair(Outcome(tmp_path / "ours", uri, "ours"), Outcome(storage, uri, "undisturbed"))


def lose_a_stage(pair: Pair) -> None:
    next(pair.ours.storage.glob("stages/train/*/manifest.json")).unlink()


def change_a_stage(pair: Pair) -> None:
    file = next(pair.ours.storage.glob("stages/measure/*/manifest.json"))
    manifest = json.loads(file.read_bytes())
    manifest["files"] = {name: {**entry, "sha256": "0"} for name, entry in manifest["files"].items()}
    file.write_text(json.dumps(manifest))


def rewrite(pair: Pair, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    records = [record.model_dump(mode="json") for record in pair.trial.read()]
    lines = "".join(json.dumps(record) + "\n" for record in change(records))
    pair.trial.store.files.write(f"{pair.trial.path}/records.jsonl", lines.encode())


def other_value(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**record, "metrics": {**record["metrics"], "quality/fd": 1.5}} for record in records]


def other_cost(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**record, "metrics": {**record["metrics"], "cost/train_seconds": 1.5}} for record in records]


CHANGES: dict[str, tuple[Callable[[Pair], object], str]] = {
    "a stage is lost": (lose_a_stage, "stage train/"),
    "a stage has another content": (change_a_stage, "stage measure/"),
    "a generation is lost": (lambda pair: rewrite(pair, lambda records: records[:1]), "record "),
    "a generation is recorded twice": (lambda pair: rewrite(pair, lambda records: [*records, records[0]]), "record "),
    "a metric has another value": (lambda pair: rewrite(pair, other_value), "record "),
    "MLflow has a second entry": (
        lambda pair: pair.client().log_metric(pair.run_id(), "quality/fd", 1.5, step=1), "quality/fd"
    ),
    "MLflow has a cost twice": (
        lambda pair: pair.client().log_metric(pair.run_id(), "cost/train_seconds", 1.5, step=1), "cost/train_seconds"
    ),
    "MLflow has a metric more": (lambda pair: pair.client().log_metric(pair.run_id(), "quality/x", 1.5), "quality/x"),
    "MLflow has a run more": (
        lambda pair: pair.client().create_run(
            pair.client().get_experiment_by_name("ours").experiment_id,
            tags={"raycollapse.trial_key": pair.trial.trial_key},
        ), "two runs",
    ),
    "MLflow has lost a run": (lambda pair: pair.client().delete_run(pair.run_id()), "missing, undisturbed"),
    "a run has not ended": (lambda pair: pair.client().update_run(pair.run_id(), "RUNNING"), "status: RUNNING"),
    "a value was logged that was not confirmed": (
        lambda pair: pair.client().set_tag(pair.run_id(), "changed.quality/fd.generation_0001", "1.5"), "changed."
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "told"), CHANGES.values(), ids=CHANGES)
def test_whatever_is_lost_changed_or_doubled_is_told(pair: Pair, change: Callable[[Pair], object], told: str) -> None:
    change(pair)
    found = differences(pair.ours, pair.theirs)
    assert any(told in line for line in found), found


def test_two_runs_that_differ_only_in_what_they_cost_are_equal(pair: Pair) -> None:
    assert differences(pair.ours, pair.theirs) == []
    rewrite(pair, other_cost)
    assert differences(pair.ours, pair.theirs) == []


def test_damage_that_no_run_has_read_is_found_and_set_aside(pair: Pair) -> None:
    assert unread_damage(pair.ours.storage) == []
    file = next(pair.ours.storage.glob("stages/train/*/*/loss.json"))
    file.write_bytes(file.read_bytes().replace(b"1", b"2", 1))
    (stage,) = unread_damage(pair.ours.storage)
    assert stage.startswith("train/")
    assert unread_damage(pair.ours.storage) == []
    assert any(line.startswith(f"stage {stage}: missing") for line in differences(pair.ours, pair.theirs))
