"""A run killed at any moment, parent and workers, goes on to the same numbers; Ctrl-C ends it cleanly."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from test_ray_backend import experiment, hashes, metrics

from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords, trial_keys

pytestmark = pytest.mark.slow

LIMIT = 120
"""Seconds that a run of this size may take on a busy machine."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    training = {
        "num_steps": 400, "warmup_steps": 1, "batch_size": 16, "learning_rate": 1e-3, "checkpoint_steps": 100,
    }  # fmt: skip
    told = experiment(
        folder, training=training, sweep={"grid": {"selection": ["uniform", "greedy"]}}, tracking={"mlflow": True}
    )
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(told.resolved()))
    return path


def start(file: Path, storage: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        "from raycollapse.cli import main; main()",
        "run",
        str(file),
        "--storage",
        str(storage),
    ]
    log = (storage.parent / f"{storage.name}.log").open("a")
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def log_of(storage: Path) -> str:
    return (storage.parent / f"{storage.name}.log").read_text()


def processes_under(session: int) -> list[int]:
    """Return the live processes of a session: the run and all that it started."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], bool], seconds: float = LIMIT) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def finish(file: Path, storage: Path) -> None:
    process = start(file, storage)
    assert process.wait(LIMIT) == 0, log_of(storage)[-3000:]


@pytest.fixture(scope="module")
def undisturbed(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("undisturbed") / "storage"
    finish(file, storage)
    return storage


def committed(storage: Path, kind: str) -> int:
    return len(list(storage.glob(f"stages/{kind}/*/manifest.json")))


def attempts(storage: Path, kind: str) -> int:
    return len([path for path in storage.glob(f"stages/{kind}/*/*") if path.is_dir()])


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "before anything is there": lambda storage: storage.is_dir(),
    "in the first training": lambda storage: any(storage.glob("stages/checkpoint/*/*/manifest.json")),
    "in the first sampling": lambda storage: committed(storage, "sample") >= 1,
    "in the first measuring": lambda storage: attempts(storage, "measure") >= 1,
    "in the first selecting": lambda storage: attempts(storage, "select") >= 1,
    "once a generation is recorded": lambda storage: any(storage.glob("experiments/*/*/records.jsonl")),
    "in the second training": lambda storage: attempts(storage, "train") >= 2,
    "once MLflow has a run": lambda storage: any(storage.glob("experiments/*/*/mlflow.json")),
    "near the end": lambda storage: committed(storage, "train") >= 3,
}


def assert_same_as(undisturbed: Path, storage: Path) -> None:
    assert hashes(storage) == hashes(undisturbed)
    assert metrics(storage) == metrics(undisturbed)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    store = Store(str(storage))
    (found,) = [e for e in client.search_experiments() if e.name == "tiny"]
    runs = client.search_runs([found.experiment_id])
    keys = [run.data.tags["raycollapse.trial_key"] for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert sorted(keys) == sorted(trial_keys(store, "tiny")), "one run for each trial"
    for run in runs:
        if "mlflow.parentRunId" not in run.data.tags:
            continue
        records = TrialRecords(store, "tiny", run.data.tags["raycollapse.trial_key"]).read()
        for name in records[0].metrics:
            history = client.get_metric_history(run.info.run_id, name)
            assert sorted(entry.step for entry in history) == [1, 2], f"one entry of {name} for each generation"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_to_the_same_numbers(moment: str, file: Path, undisturbed: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    process = start(file, storage)
    wait_for(lambda: process.poll() is not None or MOMENTS[moment](storage))
    for pid in [process.pid, *processes_under(process.pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait(LIMIT)
    wait_for(lambda: not processes_under(process.pid), 30)
    finish(file, storage)
    assert_same_as(undisturbed, storage)


def test_killing_the_parent_alone_leaves_no_process_behind(file: Path, undisturbed: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    process = start(file, storage)
    wait_for(lambda: committed(storage, "sample") >= 1)
    process.kill()
    process.wait(LIMIT)
    wait_for(lambda: not processes_under(process.pid), 60)
    finish(file, storage)
    assert_same_as(undisturbed, storage)


def test_ctrl_c_says_how_to_resume_and_leaves_no_process_behind(file: Path, undisturbed: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    process = start(file, storage)
    wait_for(lambda: committed(storage, "sample") >= 1)
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT) == 130, log_of(storage)[-3000:]
    assert "run the same command again" in log_of(storage)
    wait_for(lambda: not processes_under(process.pid), 30)
    finish(file, storage)
    assert_same_as(undisturbed, storage)


def test_a_finished_run_replays_without_making_anything(file: Path, undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.glob("stages/*/*/manifest.json")}
    finish(file, undisturbed)
    assert {path: path.stat().st_mtime_ns for path in undisturbed.glob("stages/*/*/manifest.json")} == before
