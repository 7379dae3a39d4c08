"""What the recorder leaves in a real MLflow database."""

import logging
import math
from pathlib import Path

import pytest
from mlflow.entities import Run

from raycollapse.store import Store
from raycollapse.tracking.mlflow_recorder import MlflowRecorder

from .mlflow_reading import MakeTrial, add_generation, assert_whole, history, runs_of, trial_run


def test_syncing_three_times_leaves_one_entry_for_each_generation(
    store: Store, make_trial: MakeTrial, database: str
) -> None:
    trial = make_trial()
    for generation in (1, 2):
        add_generation(trial, generation)
    for _ in range(3):
        recorder = MlflowRecorder(store, "q")
        recorder.sync([trial])
        recorder.sync([trial])
    assert_whole(database, trial)
    assert len(runs_of(database)) == 1


def test_trials_of_a_sweep_are_children_of_one_run(store: Store, make_trial: MakeTrial, database: str) -> None:
    trials = [make_trial(selection=name, seed=seed) for name in ("uniform", "greedy") for seed in (0, 1)]
    for trial in trials:
        add_generation(trial, 1)
    for _ in range(2):
        recorder = MlflowRecorder(store, "q", is_sweep=True)
        recorder.sync(trials)
        recorder.finish(trials)
    children = [trial_run(database, trial) for trial in trials]
    (parent,) = [run for run in runs_of(database) if "raycollapse.trial_key" not in run.data.tags]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert sorted(child.info.run_name for child in children) == [
        "replace, greedy, seed 0", "replace, greedy, seed 1", "replace, uniform, seed 0", "replace, uniform, seed 1",
    ]  # fmt: skip
    assert store.read_json("experiments/q/mlflow.json")["run_id"] == parent.info.run_id


def test_runs_are_named_by_what_tells_them_apart_once_that_is_known(
    store: Store, make_trial: MakeTrial, database: str
) -> None:
    trials = [make_trial(selection={"name": "threshold_decay", "threshold": 600.0, "decay": 0.9})]
    recorder = MlflowRecorder(store, "q", is_sweep=True)
    recorder.sync(trials)
    assert trial_run(database, trials[0]).info.run_name == "replace, threshold_decay, seed 0"
    trials.append(make_trial(selection={"name": "threshold_decay", "threshold": 600.0, "decay": 0.8}))
    recorder.sync(trials)
    names = {trial_run(database, trial).info.run_name for trial in trials}
    assert names == {"replace, threshold_decay, decay=0.9, seed 0", "replace, threshold_decay, decay=0.8, seed 0"}


def test_a_run_bears_what_the_trial_is(store: Store, make_trial: MakeTrial, database: str) -> None:
    trial = make_trial()
    MlflowRecorder(store, "q").sync([trial])
    run = trial_run(database, trial)
    assert run.info.status == "RUNNING"
    expected = {
        "experiment": "q", "strategy": "uniform", "paradigm": "replace", "data": "digits", "space": "pixels",
        "trial_key": trial.trial_key, "num_generations": "3", "metrics": "frechet", "storage": store.uri,
    }  # fmt: skip
    assert {name: run.data.tags[f"raycollapse.{name}"] for name in expected} == expected
    assert run.data.params["training.num_steps"] == "100"
    assert run.data.params["training.betas"] == "[0.95, 0.999]"
    assert not {"num_generations", "storage", "training.checkpoint_steps", "name"} & set(run.data.params)


def test_nan_is_logged_and_an_infinity_is_a_tag(store: Store, make_trial: MakeTrial, database: str) -> None:
    trial = make_trial()
    add_generation(trial, 1, **{"diversity/a": math.nan, "diversity/b": math.inf, "diversity/c": -math.inf})
    for _ in range(2):
        MlflowRecorder(store, "q").sync([trial])
    run = trial_run(database, trial)
    ((step, value, _),) = history(database, run, "diversity/a")
    assert step == 1 and math.isnan(value)
    assert run.data.tags["nonfinite.diversity/b.generation_0001"] == "inf"
    assert run.data.tags["nonfinite.diversity/c.generation_0001"] == "-inf"
    assert not {"diversity/b", "diversity/c"} & set(run.data.metrics)


def test_a_value_that_changes_later_is_a_tag_and_not_a_second_entry(
    store: Store, make_trial: MakeTrial, database: str
) -> None:
    trial = make_trial()
    add_generation(trial, 1, **{"cost/sample_seconds": 2.0})
    MlflowRecorder(store, "q").sync([trial])
    add_generation(trial, 1, **{"cost/sample_seconds": 3.5})
    for _ in range(2):
        MlflowRecorder(store, "q").sync([trial])
    run = trial_run(database, trial)
    assert [value for _, value, _ in history(database, run, "cost/sample_seconds")] == [2.0]
    assert run.data.tags["changed.cost/sample_seconds.generation_0001"] == "3.5"


def test_names_that_mlflow_does_not_take_are_changed_and_the_rest_goes_through(
    store: Store, make_trial: MakeTrial, database: str
) -> None:
    trial = make_trial()
    add_generation(trial, 1, **{"recall@k=3, α": 0.5, "../up//and/down": 1.0, "x" * 300: 2.0})
    MlflowRecorder(store, "q").sync([trial])
    metrics = trial_run(database, trial).data.metrics
    assert metrics["recall_k_3_ α"] == 0.5
    assert metrics["up/and/down"] == 1.0
    assert metrics["x" * 250] == 2.0
    assert metrics["quality/fd"] == 100.0


def test_a_trial_ends_finished_failed_or_killed_and_runs_again_on_the_same_run(
    store: Store, make_trial: MakeTrial, database: str
) -> None:
    trial = make_trial()

    def ended() -> Run:
        recorder = MlflowRecorder(store, "q")
        recorder.sync([trial])
        assert trial_run(database, trial).info.status == "RUNNING"
        recorder.finish([trial])
        return trial_run(database, trial)

    trial.write_failure("the loss is not finite at step 3")
    failed = ended()
    assert failed.info.status == "FAILED"
    assert failed.data.tags["raycollapse.failure"] == "the loss is not finite at step 3"
    trial.write_failure(None)
    add_generation(trial, 1)
    killed = ended()
    assert killed.info.status == "KILLED"
    assert "raycollapse.failure" not in killed.data.tags
    add_generation(trial, 2)
    last = add_generation(trial, 3)
    finished = ended()
    assert finished.info.status == "FINISHED"
    assert finished.info.end_time == round(1000 * last.timestamp)
    assert failed.info.run_id == killed.info.run_id == finished.info.run_id


def test_a_sweep_with_a_failed_trial_is_failed(store: Store, make_trial: MakeTrial, database: str) -> None:
    good, bad = make_trial(num_generations=1), make_trial(num_generations=1, selection="greedy")
    add_generation(good, 1)
    bad.write_failure("no")
    MlflowRecorder(store, "q", is_sweep=True).finish([good, bad])
    assert sorted(run.info.status for run in runs_of(database)) == ["FAILED", "FAILED", "FINISHED"]


def test_a_damaged_picture_or_loss_curve_is_done_without(store: Store, make_trial: MakeTrial, database: str) -> None:
    trial = make_trial()
    add_generation(trial, 1)
    record = add_generation(trial, 2)
    for stage in (record.stages["train"], record.stages["picture"]):
        kind, _, key = stage.partition("/")
        store.remove(kind, key)
    MlflowRecorder(store, "q").sync([trial])
    run = trial_run(database, trial)
    assert len(history(database, run, "quality/fd")) == 2
    assert len(history(database, run, "train/loss")) == 2


def test_the_experiment_in_mlflow_can_have_another_name_and_the_database_another_place(
    store: Store, make_trial: MakeTrial, tmp_path: Path, migrated_database: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/shared.db"
    (tmp_path / "shared.db").write_bytes(migrated_database.read_bytes())
    MlflowRecorder(store, "q", uri=uri, mlflow_experiment="collapse at our lab").sync([make_trial()])
    assert len(runs_of(uri, "collapse at our lab")) == 1


def test_damaged_records_of_one_trial_do_not_hold_up_the_others(
    store: Store, make_trial: MakeTrial, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = make_trial(), make_trial(selection="greedy")
    add_generation(good, 1)
    store.files.write(f"{bad.path}/records.jsonl", b"{garbage\n")
    recorder = MlflowRecorder(store, "q")
    for _ in range(3):
        recorder.sync([bad, good])
    assert len(history(database, trial_run(database, good), "quality/fd")) == 1
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert bad.trial_key in warning and "does not take" in warning


def test_nothing_is_printed_and_nothing_of_mlflows_own_is_logged(
    store: Store, make_trial: MakeTrial, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    trial = make_trial(num_generations=1)
    add_generation(trial, 1)
    recorder = MlflowRecorder(store, "q", is_sweep=True)  # on a database that is not there yet
    recorder.sync([trial])
    recorder.finish([trial])
    assert capfd.readouterr() == ("", "")
    assert [record.name for record in caplog.records] == []
