"""The tidy table holds the records and nothing else."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from raycollapse.errors import RequestError
from raycollapse.report import collect, trial_labels
from raycollapse.report.collect import metric_names
from raycollapse.store import Store
from raycollapse.tracking import GenerationRecord, TrialRecords

MakeExperiment = Callable[..., list[TrialRecords]]


def test_there_is_a_row_for_each_generation_of_each_trial_with_the_recorded_values(
    store: Store, make_experiment: MakeExperiment
) -> None:
    trials = make_experiment(seeds=(0, 1))
    frame = collect(store, ["q"])
    assert len(frame) == 6 * 2 * 4
    for trial in trials:
        own = frame[frame["trial_key"] == trial.trial_key].set_index("generation")
        for record in trial.read():
            for name, value in record.metrics.items():
                assert own.loc[record.generation, name] == value


def test_rows_say_what_the_trial_is(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment(points=[("accumulate", "greedy")], seeds=(7,), num_generations=1)
    (row,) = collect(store, ["q"]).to_dict("records")
    expected = {
        "experiment": "q", "paradigm": "accumulate", "strategy": "greedy", "seed": 7, "label": "accumulate, greedy",
        "data": "digits", "space": "pixels", "num_train": 512, "generation": 1,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_baselines_come_first(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment()
    assert list(dict.fromkeys(collect(store, ["q"])["label"])) == [
        "replace, uniform", "replace, greedy", "replace, threshold_decay",
        "accumulate, uniform", "accumulate, greedy", "accumulate, threshold_decay",
    ]  # fmt: skip


def test_a_setting_that_differs_is_a_column_and_no_metric(store: Store, make_experiment: MakeExperiment) -> None:
    for decay in (0.8, 0.9):
        tdf = {"name": "threshold_decay", "threshold": 600.0, "decay": decay}
        make_experiment(points=[("replace", "threshold_decay")], selection=tdf)
    frame = collect(store, ["q"])
    assert sorted(set(frame["setting.selection.decay"])) == [0.8, 0.9]
    assert set(frame["label"]) == {"replace, threshold_decay, decay=0.8", "replace, threshold_decay, decay=0.9"}
    assert "setting.selection.decay" not in metric_names(frame)
    assert "quality/fd" in metric_names(frame)


def test_several_experiments_are_told_apart_by_name(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment("one", points=[("replace", "uniform")])
    make_experiment("two", points=[("replace", "uniform")])
    frame = collect(store, ["one", "two", "one"])
    assert len(frame) == 8
    assert set(frame["label"]) == {"one: replace, uniform", "two: replace, uniform"}


def test_a_metric_that_only_some_have_is_nan_elsewhere(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment(points=[("replace", "uniform")], without=("quality/fd",))
    make_experiment(points=[("replace", "greedy")])
    frame = collect(store, ["q"]).set_index("strategy")
    assert frame.loc["uniform", "quality/fd"].isna().all()
    assert frame.loc["greedy", "quality/fd"].notna().all()


def test_non_finite_values_are_kept(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment(points=[("replace", "uniform")], replaced={"quality/fd": math.inf, "entropy/train_set": math.nan})
    frame = collect(store, ["q"])
    assert np.isposinf(frame["quality/fd"]).all()
    assert frame["entropy/train_set"].isna().all()


def test_an_unknown_experiment_is_refused_with_those_that_are_there(
    store: Store, make_experiment: MakeExperiment
) -> None:
    with pytest.raises(RequestError, match="There are none yet"):
        collect(store, ["q"])
    make_experiment("one", points=[("replace", "uniform")])
    make_experiment("two", points=[("replace", "uniform")])
    with pytest.raises(RequestError, match=r"no experiment 'three'\. There are: one, two\."):
        collect(store, ["one", "three"])


def test_an_experiment_without_records_is_refused_and_a_trial_without_them_left_out(
    store: Store, make_experiment: MakeExperiment
) -> None:
    (trial,) = make_experiment(points=[("replace", "uniform")])
    store.files.remove(f"{trial.path}/records.jsonl")
    with pytest.raises(RequestError, match="recorded nothing yet"):
        collect(store, ["q"])
    make_experiment(points=[("replace", "greedy")])
    assert set(collect(store, ["q"])["strategy"]) == {"greedy"}


def test_files_of_recorders_beside_the_trials_are_no_trials(store: Store, make_experiment: MakeExperiment) -> None:
    make_experiment(points=[("replace", "uniform")], num_generations=1)
    store.write_json("experiments/q/mlflow.json", {"run_id": "x"})
    assert len(collect(store, ["q"])) == 1


def test_a_trial_is_named_by_its_seed_only_where_seeds_differ(make_experiment: MakeExperiment) -> None:
    configs = [trial.read_config() or {} for trial in make_experiment(points=[("replace", "uniform")], seeds=(0, 1))]
    assert trial_labels(configs) == ["replace, uniform, seed 0", "replace, uniform, seed 1"]
    assert trial_labels(configs[:1]) == ["replace, uniform"]


def test_a_trial_that_started_later_has_fewer_rows(store: Store, make_experiment: MakeExperiment) -> None:
    (trial,) = make_experiment(points=[("replace", "uniform")], num_generations=2)
    trial.add(GenerationRecord(generation=3, metrics={"quality/fd": 1.0}, stages={}))
    assert list(collect(store, ["q"])["generation"]) == [1, 2, 3]
