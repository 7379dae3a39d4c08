"""A run that is killed at any moment goes on, by the same command, to the same numbers; Ctrl-C ends it cleanly."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from ray_runs import LONGER, attempts, hashes, metrics
from tiny import TINY

from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords, trial_keys

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

COMMAND = """
import signal
from raycollapse.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # children of a background shell inherit that it is ignored
main()
"""

LIMIT = 300
"""Seconds that a run of this size may take on a busy machine."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = {
        "training": LONGER | {"num_steps": 600}, "sampling": {**TINY["sampling"], "num_steps": 250},
        "sweep": {"grid": {"selection": ["uniform", "greedy"]}}, "tracking": {"mlflow": True},
    }  # fmt: skip
    path = tmp_path_factory.mktemp("experiment") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY | changes))
    return path


class Run:
    """A `raycollapse run` in a process of its own."""

    def __init__(self, file: Path, storage: Path) -> None:
        self.storage = storage
        self._log = storage.with_suffix(".log")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        command = [sys.executable, "-c", COMMAND, "run", str(file)]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--storage", str(storage)], stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env=kept,
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self._log.read_text()

    def alive(self) -> dict[int, str]:
        """Return what lives of the run, by process id: its session, which nothing that Ray starts leaves."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except (OSError, ValueError):  # it has ended, or is no process
                continue
        return found

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def kill(self, *, workers_too: bool) -> None:
        """Kill the command, and with it all that it has started or only itself; either way nothing is left."""
        for pid in self.alive() if workers_too else [self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(LIMIT)
        self.assert_nothing_is_left()

    def assert_nothing_is_left(self) -> None:
        # Seconds, but for an agent that is begun at the very moment its parents die: it looks for them for a minute.
        deadline = time.monotonic() + 120
        while left := self.alive():
            assert time.monotonic() < deadline, left
            time.sleep(0.1)

    def finish(self) -> None:
        assert self.process.wait(LIMIT) == 0, self.log
        self.assert_nothing_is_left()


@pytest.fixture(scope="module")
def undisturbed(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("undisturbed") / "storage"
    Run(file, storage).finish()
    return storage


def committed(storage: Path, kind: str) -> int:
    return len(list(storage.glob(f"stages/{kind}/*/manifest.json")))


def begun(storage: Path, kind: str) -> int:
    """Return how many attempts lie there, finished or not."""
    return len(attempts(storage, kind))


def recorded(storage: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in storage.glob("experiments/*/*/records.jsonl"))


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "sampling of generation 1": lambda s: begun(s, "sample") > committed(s, "sample") > 0,
    "between the record and MLflow": lambda s: recorded(s) > 0,
    "training of generation 2": lambda s: committed(s, "train") >= 1 and committed(s, "checkpoint/*") > 0,
}
"""In this order: each kill leaves something behind that the next run must cope with. Random moments: `tests/chaos`."""

PARENT_ALONE = {"sampling of generation 1"}
"""Where the workers are left to see for themselves that their parent is gone, which may take a minute."""


def test_a_run_killed_at_every_stage_goes_on_to_the_same_numbers(file: Path, undisturbed: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    for name, moment in MOMENTS.items():
        run = Run(file, storage)
        run.wait_until(lambda moment=moment: moment(storage))  # type: ignore[misc]
        run.kill(workers_too=name not in PARENT_ALONE)
    Run(file, storage).finish()
    assert_same(storage, undisturbed)


def test_ctrl_c_says_how_to_resume_and_leaves_no_process_behind(file: Path, undisturbed: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    run = Run(file, storage)
    run.wait_until(lambda: committed(storage, "sample") > 0)
    # As a terminal does: to every process of the foreground group.
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.process.wait(60) == 130, run.log
    run.assert_nothing_is_left()
    assert run.log.rstrip().endswith("to resume, run the same command again.")
    assert "Traceback" not in run.log
    Run(file, storage).finish()
    assert_same(storage, undisturbed)


def test_a_finished_run_replays_and_makes_nothing(file: Path, undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.glob("stages/*/*/*")}
    Run(file, undisturbed).finish()
    assert {path: path.stat().st_mtime_ns for path in undisturbed.glob("stages/*/*/*")} == before
    assert_in_mlflow_once(undisturbed)


def assert_same(storage: Path, undisturbed: Path) -> None:
    assert hashes(storage) == hashes(undisturbed)
    assert metrics(storage) == metrics(undisturbed)
    assert begun(storage, "checkpoint/*") == 0
    assert_in_mlflow_once(storage)


def assert_in_mlflow_once(storage: Path) -> None:
    """One run for each trial, with one entry for each generation and metric; a finished parent."""
    client, store = MlflowClient(f"sqlite:///{storage}/mlflow.db"), Store(str(storage))
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    trials = {run.data.tags["raycollapse.trial_key"]: run for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert len(runs) == len(trials) + 1
    assert sorted(trials) == sorted(trial_keys(store, "tiny"))
    for key, run in trials.items():
        for record in TrialRecords(store, "tiny", key).read():
            for name, value in record.metrics.items():
                entries = client.get_metric_history(run.info.run_id, name)
                assert [entry.value for entry in entries if entry.step == record.generation] == [value], name
                assert len(entries) == 2, name
