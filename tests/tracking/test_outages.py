"""A server or database that does not answer: the run goes on, says so once, and replays later."""

import logging
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raycollapse.store import Store
from raycollapse.tracking import GenerationRecord, TrialRecords
from raycollapse.tracking.mlflow_recorder import MlflowRecorder
from raycollapse.tracking.outage import LONGEST_PAUSE, Outage, reason_of

MakeTrial = Callable[..., TrialRecords]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def add(trial: TrialRecords, generation: int) -> None:
    trial.add(GenerationRecord(generation=generation, metrics={"quality/fd": float(generation)}, stages={}))


def test_an_outage_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("The place", "Never mind.")
    outage.succeeded()
    for _ in range(3):
        outage.failed("no route")
    outage.succeeded()
    outage.succeeded()
    assert warnings_in(caplog) == ["The place does not answer (no route). Never mind.", "The place answers again."]


def test_pauses_between_tries_double_up_to_the_longest() -> None:
    now = [0.0]
    outage = Outage("The place", "", clock=lambda: now[0])
    assert outage.may_try
    pauses = []
    for _ in range(9):
        outage.failed("no")
        start = now[0]
        while not outage.may_try:
            now[0] += 1.0
        pauses.append(now[0] - start)
    assert pauses[:3] == [5.0, 10.0, 20.0]
    assert pauses[-1] == LONGEST_PAUSE
    outage.succeeded()
    assert outage.may_try


def test_a_reason_hides_passwords_and_stays_short() -> None:
    reason = reason_of(RuntimeError("cannot reach postgresql://me:secret@db/x " + "y" * 1000))
    assert "secret" not in reason
    assert len(reason) <= 200


@pytest.mark.parametrize("uri", ["http://127.0.0.1:{port}", "postgresql://me:secret@127.0.0.1:{port}/mlflow"])
def test_a_closed_port_is_told_at_the_start_and_at_the_end_and_stops_nothing(
    store: Store, make_trial: MakeTrial, caplog: pytest.LogCaptureFixture, free_port: int, uri: str
) -> None:
    trial = make_trial(num_generations=1)
    recorder = MlflowRecorder(store, "q", uri=uri.format(port=free_port))
    recorder.sync([])
    add(trial, 1)
    recorder.sync([trial])
    recorder.finish([trial])
    first, last = warnings_in(caplog)
    assert f"127.0.0.1:{free_port}" in first and "does not answer" in first and "refused" in first
    assert "The run goes on" in first and store.uri in first
    assert "Nothing is lost" in last and "Run the same command again" in last
    assert "secret" not in first + last


def test_a_server_that_accepts_and_never_replies_is_given_up_after_the_timeout(
    store: Store, make_trial: MakeTrial, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        recorder = MlflowRecorder(store, "q", uri=f"http://127.0.0.1:{silent.getsockname()[1]}")
        recorder.sync([make_trial()])
        recorder.sync([])  # within the pause: not even tried
        silent.settimeout(0.1)
        silent.accept()
        with pytest.raises(TimeoutError):
            silent.accept()
    (warning,) = warnings_in(caplog)
    assert "timed out" in warning.lower()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, None], ids=["not a database", "a folder"])
def test_a_database_that_cannot_be_opened_stops_nothing(
    store: Store, make_trial: MakeTrial, caplog: pytest.LogCaptureFixture, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(content) if content else path.mkdir()
    trial = make_trial(num_generations=1)
    add(trial, 1)
    recorder = MlflowRecorder(store, "q", uri=f"sqlite:///{path}")
    recorder.sync([trial])
    recorder.finish([trial])
    assert len(warnings_in(caplog)) == 2
    assert "database" in warnings_in(caplog)[0]


def test_a_database_that_was_away_gets_everything_from_the_next_sync(
    store: Store, make_trial: MakeTrial, tmp_path: Path, migrated_database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, trial = tmp_path / "away" / "mlflow.db", make_trial(num_generations=2)
    path.mkdir(parents=True)  # a folder in its place
    recorder = MlflowRecorder(store, "q", uri=f"sqlite:///{path}")
    for generation in (1, 2):
        add(trial, generation)
        recorder.sync([trial])
    path.rmdir()
    shutil.copy(migrated_database, path)
    recorder.finish([trial])
    (run,) = MlflowClient(recorder.uri).search_runs(["1"])
    assert len(MlflowClient(recorder.uri).get_metric_history(run.info.run_id, "quality/fd")) == 2
    assert run.info.status == "FINISHED"
    assert warnings_in(caplog)[-1].endswith("answers again.")


def test_a_broken_artifact_store_holds_up_no_metric(
    store: Store, make_trial: MakeTrial, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert store.local_root is not None
    (store.local_root / "mlflow-artifacts").write_text("a file where the folder should be")
    trials = [make_trial(num_generations=1), make_trial(num_generations=1, selection="greedy")]

    def write(folder: Path) -> dict[str, None]:
        (folder / "samples.png").write_bytes(b"x")
        return {}

    store.commit("picture", "a" * 64, {}, write)  # type: ignore[arg-type]
    for trial in trials:
        picture = {"samples.png": f"picture/{'a' * 64}"}
        trial.add(GenerationRecord(generation=1, metrics={"quality/fd": 1.0}, stages={}, artifacts=picture))
    recorder = MlflowRecorder(store, "q")
    recorder.sync(trials)
    runs = MlflowClient(database).search_runs(["1"])
    assert [run.data.metrics["quality/fd"] for run in runs] == [1.0, 1.0]
    (warning,) = warnings_in(caplog)
    assert "artifact store" in warning and "Metrics are recorded" in warning
    (store.local_root / "mlflow-artifacts").unlink()
    recorder.finish(trials)
    assert len(list(store.local_root.glob("mlflow-artifacts/**/samples.png"))) == 2
    assert warnings_in(caplog)[-1].endswith("answers again.")


def test_a_database_that_was_emptied_gets_everything_anew(store: Store, make_trial: MakeTrial, database: str) -> None:
    trials = [make_trial(num_generations=2, selection=name) for name in ("uniform", "greedy")]
    recorder = MlflowRecorder(store, "q", is_sweep=True)
    for trial in trials:
        add(trial, 1)
    recorder.sync(trials)
    with sqlite3.connect(database.removeprefix("sqlite:///")) as connection:
        for table in ("latest_metrics", "metrics", "params", "tags", "runs"):
            connection.execute(f"DELETE FROM {table}")
    add(trials[0], 2)
    recorder.sync([trials[0]])
    runs = {run.data.tags.get("raycollapse.trial_key"): run for run in MlflowClient(database).search_runs(["1"])}
    assert set(runs) == {None, *(trial.trial_key for trial in trials)}
    run_ids = [runs[trial.trial_key].info.run_id for trial in trials]
    histories = [MlflowClient(database).get_metric_history(run_id, "quality/fd") for run_id in run_ids]
    assert [[entry.step for entry in entries] for entries in histories] == [[1, 2], [1]]


def test_an_experiment_that_was_deleted_in_mlflow_is_told_with_what_to_do(
    store: Store, make_trial: MakeTrial, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = MlflowClient(database)
    client.delete_experiment(client.create_experiment("q"))
    MlflowRecorder(store, "q").sync([make_trial()])
    (warning,) = warnings_in(caplog)
    assert "was deleted; restore it, or set tracking.mlflow_experiment" in warning
