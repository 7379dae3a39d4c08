"""A real MLflow server that goes away and comes back."""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raycollapse.store import Store
from raycollapse.tracking import GenerationRecord
from raycollapse.tracking.mlflow_recorder import MlflowRecorder

from .mlflow_reading import MakeTrial


class Server:
    """A real `mlflow server` on loopback."""

    def __init__(self, folder: Path, port: int) -> None:
        self.uri = f"http://127.0.0.1:{port}"
        self._command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
            "--artifacts-destination", str(folder / "artifacts"),
        ]  # fmt: skip
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=self._folder, start_new_session=True,
                env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            )  # fmt: skip
        client = MlflowClient(self.uri)
        for _ in range(240):
            try:
                client.search_experiments()
                return
            except Exception:  # noqa: BLE001 (whatever a server that is starting up replies)
                time.sleep(0.5)
        raise AssertionError((self._folder / "server.log").read_text()[-2000:])

    def stop(self) -> None:
        """End the server and its workers: the process group that it was started in, and nothing else."""
        if self._process is not None:
            os.killpg(self._process.pid, 15)
            self._process.wait(timeout=60)
            self._process = None


@pytest.fixture
def server(
    tmp_path: Path, migrated_database: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(migrated_database, folder / "mlflow.db")
    server = Server(folder, free_port)
    yield server
    server.stop()


@pytest.mark.slow
def test_a_server_stopped_and_started_again_midway_gets_everything_once(
    store: Store, make_trial: MakeTrial, server: Server, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def write(folder: Path) -> dict[str, None]:
        (folder / "samples.png").write_bytes(b"x")
        return {}

    store.commit("picture", "a" * 64, {}, write)  # type: ignore[arg-type]

    def add_with_picture(generation: int) -> None:
        metrics = {"quality/fd": float(generation), "quality/nan": float("nan"), "quality/inf": float("inf")}
        picture = {"samples.png": f"picture/{'a' * 64}"}
        trial.add(GenerationRecord(generation=generation, metrics=metrics, stages={}, artifacts=picture))

    trial = make_trial(num_generations=3)
    server.start()
    recorder = MlflowRecorder(store, "q", uri=server.uri, is_sweep=True)
    add_with_picture(1)
    recorder.sync([trial])
    server.stop()
    add_with_picture(2)
    recorder.sync([trial])
    server.start()
    add_with_picture(3)
    recorder.finish([trial])
    again = MlflowRecorder(store, "q", uri=server.uri, is_sweep=True)
    again.sync([trial])
    again.finish([trial])

    client = MlflowClient(server.uri)
    found = client.get_experiment_by_name("q")
    assert found is not None
    runs = {run.data.tags.get("raycollapse.trial_key"): run for run in client.search_runs([found.experiment_id])}
    assert set(runs) == {None, trial.trial_key}
    run = runs[trial.trial_key]
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == runs[None].info.run_id
    for metric in ("quality/fd", "quality/nan"):
        assert [entry.step for entry in client.get_metric_history(run.info.run_id, metric)] == [1, 2, 3]
    assert run.data.tags["nonfinite.quality/inf.generation_0002"] == "inf"
    for generation in (1, 2, 3):
        (file,) = client.list_artifacts(run.info.run_id, f"generation_{generation:04d}")
        assert file.path.endswith("samples.png")
    lost, back = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "does not answer" in lost and back.endswith("answers again.")
