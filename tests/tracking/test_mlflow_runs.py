"""Which run records go into: one and the same, whatever is killed, lost or deleted."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from raycollapse.store import Store
from raycollapse.tracking import TrialRecords
from raycollapse.tracking.mlflow_recorder import MlflowRecorder

from .mlflow_reading import MakeTrial, add_generation, assert_whole, history, runs_of, trial_run


class Killed(BaseException):
    """Stands for SIGKILL: no `except Exception` sees it."""


class Mortal:
    """Lets a number of calls of some methods through, and kills the process at the next one."""

    METHODS = ("create_experiment", "create_run", "log_batch", "log_artifact", "update_run", "set_terminated")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
        self.calls_left = 10**6
        for owner, names in ((MlflowClient, self.METHODS), (store.files, ("write", "create"))):
            for name in names:
                monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.calls_left == 0:
                raise Killed
            self.calls_left -= 1
            return function(*args, **kwargs)

        return call

    def dies_replaying(self, num_calls: int, trial: TrialRecords) -> bool:
        """Return whether a process that is killed after so many calls was killed."""
        self.calls_left = num_calls
        try:
            recorder = MlflowRecorder(trial.store, "q", is_sweep=True)
            recorder.sync([trial])
            recorder.finish([trial])
        except Killed:
            return True
        finally:
            self.calls_left = 10**6
        return False


@pytest.mark.parametrize("num_before", [0, 1], ids=["the first replay", "a later replay"])
def test_a_kill_between_any_two_calls_loses_and_doubles_nothing(
    tmp_path: Path, make_trial: MakeTrial, migrated_database: Path, monkeypatch: pytest.MonkeyPatch, num_before: int
) -> None:
    for num_calls in itertools.count():
        own = Store(str(tmp_path / str(num_calls)))
        (tmp_path / str(num_calls) / "mlflow.db").write_bytes(migrated_database.read_bytes())
        trial = TrialRecords(own, "q", make_trial(num_generations=2).trial_key)
        trial.write_config({**(make_trial(num_generations=2).read_config() or {}), "storage": own.uri})
        with monkeypatch.context() as patch:
            mortal = Mortal(patch, own)
            for generation in range(1, num_before + 1):
                add_generation(trial, generation)
                mortal.dies_replaying(10**6, trial)
            for generation in range(num_before + 1, 3):
                add_generation(trial, generation)
            was_killed = mortal.dies_replaying(num_calls, trial)
            mortal.dies_replaying(10**6, trial)
        uri = f"sqlite:///{tmp_path / str(num_calls)}/mlflow.db"
        assert_whole(uri, trial)
        assert [run.info.status for run in runs_of(uri)] == ["FINISHED", "FINISHED"]  # the sweep and the trial
        if not was_killed:
            break
    assert num_calls >= 8


@pytest.mark.parametrize("lost", ["experiments/q/{key}/mlflow.json", "both"])
def test_a_lost_note_of_the_run_id_does_not_double_the_run(
    store: Store, make_trial: MakeTrial, database: str, lost: str
) -> None:
    trial = make_trial()
    add_generation(trial, 1)
    MlflowRecorder(store, "q", is_sweep=True).sync([trial])
    store.files.remove(f"{trial.path}/mlflow.json")
    if lost == "both":
        store.files.write("experiments/q/mlflow.json", b"{not json")
    add_generation(trial, 2)
    MlflowRecorder(store, "q", is_sweep=True).sync([trial])
    assert len(runs_of(database)) == 2
    assert_whole(database, trial)


@pytest.mark.parametrize("note", ["mlflow.json", "id.json"])
def test_an_altered_byte_in_a_note_does_not_double_the_run_or_lose_what_follows(
    store: Store, make_trial: MakeTrial, database: str, note: str
) -> None:
    trial = make_trial()
    add_generation(trial, 1)
    MlflowRecorder(store, "q", is_sweep=True).sync([trial])
    (run_id,) = {run.info.run_id for run in runs_of(database) if "raycollapse.trial_key" in run.data.tags}
    own = store.read_json(f"{trial.path}/id.json")["id"]
    for damaged, value in {note: own if note == "id.json" else run_id, "mlflow.json": run_id}.items():
        content = store.files.read(f"{trial.path}/{damaged}")  # one after the other, as years may lie between
        assert value.encode() in content
        store.files.write(f"{trial.path}/{damaged}", content.replace(value.encode(), b"z" + value[1:].encode()))
        add_generation(trial, 2)
        MlflowRecorder(store, "q", is_sweep=True).sync([trial])
        assert len(runs_of(database)) == 2
        assert_whole(database, trial)


def test_records_made_anew_after_a_deletion_go_into_a_run_of_their_own(
    store: Store, make_trial: MakeTrial, database: str
) -> None:
    trial = make_trial()
    add_generation(trial, 1)
    MlflowRecorder(store, "q").sync([trial])
    store.files.remove(trial.path)
    trial = make_trial()
    add_generation(trial, 1)
    MlflowRecorder(store, "q").sync([trial])
    assert len(runs_of(database)) == 2
    for run in runs_of(database):
        assert len(history(database, run, "quality/fd")) == 1


def test_a_run_deleted_in_mlflow_is_made_anew_whole(store: Store, make_trial: MakeTrial, database: str) -> None:
    trial = make_trial()
    add_generation(trial, 1)
    recorder = MlflowRecorder(store, "q")
    recorder.sync([trial])
    MlflowClient(database).delete_run(trial_run(database, trial).info.run_id)
    add_generation(trial, 2)
    recorder.sync([trial])
    assert_whole(database, trial)
