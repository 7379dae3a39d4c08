"""A record made anew, with another time and other costs, while MLflow has the generation: still one entry a step."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from raycollapse.store import Store
from raycollapse.tracking import TrialRecords
from raycollapse.tracking.mlflow_recorder import MlflowRecorder

from .mlflow_reading import MakeTrial, add_generation, history, trial_run


def forget(trial: TrialRecords, generation: int) -> None:
    """Lose the line of a generation, as a disk that was full does."""
    kept = [record for record in trial.read() if record.generation != generation]
    lines = [record.model_dump_json() + "\n" for record in kept]
    trial.store.files.write(f"{trial.path}/records.jsonl", "".join(lines).encode())


def record(trial: TrialRecords, generation: int, seconds: float) -> None:
    add_generation(trial, generation, **{"cost/train_seconds": seconds})


def remake(trial: TrialRecords, generation: int, seconds: float) -> None:
    """Record a generation anew, a minute later than before."""
    earlier = next(record.timestamp for record in trial.read() if record.generation == generation)
    forget(trial, generation)
    record(trial, generation, seconds)
    lines = [own.model_dump(mode="json") for own in trial.read()]
    moved = [{**own, "timestamp": earlier + 60} if own["generation"] == generation else own for own in lines]
    trial.store.files.write(f"{trial.path}/records.jsonl", "".join(json.dumps(own) + "\n" for own in moved).encode())


def replay(store: Store, trial: TrialRecords) -> None:
    recorder = MlflowRecorder(store, "q")
    recorder.sync([trial])
    recorder.finish([trial])


def edit_note(trial: TrialRecords, edit: Callable[[dict[str, Any]], object]) -> None:
    note = trial.store.read_json(f"{trial.path}/mlflow.json")
    edit(note)
    trial.store.write_json(f"{trial.path}/mlflow.json", note)


NOTES: dict[str, Callable[[TrialRecords], object]] = {
    "noted": lambda trial: None,
    "killed before noting": lambda trial: edit_note(trial, lambda note: note.update(values={}, times={})),
    "noted by an earlier version": lambda trial: edit_note(trial, lambda note: note.pop("times")),
    "the note is lost": lambda trial: trial.store.files.remove(f"{trial.path}/mlflow.json"),
}


@pytest.mark.parametrize("change_note", NOTES.values(), ids=NOTES)
def test_a_record_made_anew_gives_no_second_entry(
    store: Store, make_trial: MakeTrial, database: str, change_note: Callable[[TrialRecords], object]
) -> None:
    trial = make_trial()
    record(trial, 1, seconds=2.0)
    record(trial, 2, seconds=2.0)
    replay(store, trial)
    run = trial_run(database, trial)
    before = {name: history(database, run, name) for name in ("quality/fd", "cost/train_seconds", "train/loss")}
    change_note(trial)
    remake(trial, 2, seconds=3.5)
    for _ in range(2):
        replay(store, trial)
    assert {name: history(database, run, name) for name in before} == before
    tags = trial_run(database, trial).data.tags
    assert tags["changed.cost/train_seconds.generation_0002"] == "3.5"
    assert "changed.cost/train_seconds.generation_0001" not in tags


def test_a_record_made_anew_under_the_recorder_that_logged_it_gives_no_second_entry(
    store: Store, make_trial: MakeTrial, database: str
) -> None:
    trial, recorder = make_trial(), MlflowRecorder(store, "q")
    record(trial, 1, seconds=2.0)
    recorder.sync([trial])
    before = history(database, trial_run(database, trial), "quality/fd")
    remake(trial, 1, seconds=3.5)
    recorder.sync([trial])
    assert history(database, trial_run(database, trial), "quality/fd") == before
    assert trial_run(database, trial).data.tags["changed.cost/train_seconds.generation_0001"] == "3.5"


def test_a_loss_curve_that_came_out_differently_is_not_mixed_with_the_one_that_is_there(
    store: Store, make_trial: MakeTrial, database: str
) -> None:
    trial = make_trial()
    record(trial, 1, seconds=2.0)
    replay(store, trial)
    run = trial_run(database, trial)
    before = history(database, run, "train/loss")
    NOTES["killed before noting"](trial)
    store.remove("train", f"{1:064d}")
    store.commit(
        "train", f"{1:064d}", {}, lambda folder: {"n": (folder / "loss.json").write_text('[{"step": 100, "loss": 7}]')}
    )
    remake(trial, 1, seconds=2.0)
    replay(store, trial)
    assert history(database, run, "train/loss") == before


def test_what_is_new_of_a_record_made_anew_is_logged_at_the_time_of_the_rest(
    store: Store, make_trial: MakeTrial, database: str
) -> None:
    trial = make_trial()
    record(trial, 1, seconds=2.0)
    replay(store, trial)
    run = trial_run(database, trial)
    ((_, _, logged_at),) = history(database, run, "quality/fd")
    remake(trial, 1, seconds=2.0)
    add_generation(trial, 1, **{"entropy/train_set": 5.0})
    replay(store, trial)
    assert history(database, run, "entropy/train_set") == [(1, 5.0, logged_at)]


def test_a_database_put_back_to_an_earlier_state_is_completed(
    store: Store, make_trial: MakeTrial, database: str
) -> None:
    trial = make_trial()
    record(trial, 1, seconds=2.0)
    replay(store, trial)
    assert store.local_root is not None
    earlier = (store.local_root / "mlflow.db").read_bytes()
    record(trial, 2, seconds=2.0)
    replay(store, trial)
    run = trial_run(database, trial)
    whole = history(database, run, "quality/fd")
    (store.local_root / "mlflow.db").write_bytes(earlier)
    replay(store, trial)
    assert history(database, run, "quality/fd") == whole
    assert len(whole) == 2
