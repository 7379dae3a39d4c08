"""Runs are what was collected, and one trial is one run, whichever experiments it is part of."""

from collections.abc import Callable

import pytest

from raycollapse.report import collect
from raycollapse.report.claims.comparing import last_shared
from raycollapse.report.claims.runs import by_variant, designs, of, runs_of
from raycollapse.store import Store
from raycollapse.tracking import GenerationRecord, TrialRecords

from .synthetic import make_runs, towards

MakeExperiment = Callable[..., list[TrialRecords]]


def test_a_run_has_every_recorded_value_by_generation(store: Store, make_experiment: MakeExperiment) -> None:
    (trial,) = make_experiment(points=[("accumulate", "greedy")], seeds=(7,))
    (run,) = runs_of(collect(store, ["q"]))
    assert (run.paradigm, run.strategy, run.seed, run.data, run.space) == (
        "accumulate", "greedy", 7, "digits", "pixels",
    )  # fmt: skip
    assert run.num_train == 512 and run.last() == 4
    for record in trial.read():
        for name, value in record.metrics.items():
            assert run.series(name)[record.generation] == value
    assert run.series("quality/kd") == {}


def test_a_trial_in_two_experiments_is_one_run_with_the_metrics_of_both(
    store: Store, make_experiment: MakeExperiment
) -> None:
    make_experiment("one", points=[("replace", "uniform")], without=("quality/fd",))
    make_experiment("two", points=[("replace", "uniform")], num_generations=2)
    (run,) = runs_of(collect(store, ["one", "two"]))
    assert list(run.series("entropy/train_set")) == [1, 2, 3, 4]
    assert list(run.series("quality/fd")) == [1, 2]


def test_a_trial_set_up_in_two_ways_that_change_nothing_is_a_run_in_each(
    store: Store, make_experiment: MakeExperiment
) -> None:
    (plain,) = make_experiment("plain", points=[("replace", "uniform")], without=("quality/fd",))
    reserved = {"name": "digits", "num_train": 512, "num_fresh": 100}
    (other,) = make_experiment("reserved", points=[("replace", "uniform")], data=reserved)
    assert plain.trial_key == other.trial_key
    runs = runs_of(collect(store, ["plain", "reserved"]))
    assert [run.settings["data.num_fresh"] for run in runs] == [0, 100]
    assert all(run.last() == 4 and run.series("quality/fd") for run in runs)


def test_settings_that_differ_tell_setups_apart_and_those_of_the_strategy_do_not(
    store: Store, make_experiment: MakeExperiment
) -> None:
    make_experiment("one", points=[("replace", "uniform")])
    for decay in (0.8, 0.9):
        tdf = {"name": "threshold_decay", "threshold": "auto", "decay": decay}
        make_experiment("two", points=[("replace", "threshold_decay")], selection=tdf)
    make_experiment("three", points=[("replace", "uniform")], data={"name": "digits", "num_train": 256})
    runs = runs_of(collect(store, ["one", "two", "three"]))
    setups = {run.setup() for run in runs}
    assert len(setups) == 2 and len({run.setup(["data.num_train"]) for run in runs}) == 1
    assert len(by_variant(run for run in runs if run.strategy == "threshold_decay")) == 2


def test_a_value_that_is_no_number_is_left_out(store: Store, make_experiment: MakeExperiment) -> None:
    (trial,) = make_experiment(points=[("replace", "uniform")], num_generations=2)
    trial.add(GenerationRecord(generation=3, metrics={"quality/fd": float("nan")}, stages={}))
    (run,) = runs_of(collect(store, ["q"]))
    assert list(run.series("quality/fd")) == [1, 2]


def test_paradigms_are_one_setup_only_where_they_are_what_varies() -> None:
    runs = make_runs("replace", settings={"paradigm.real_share": 0.2}) + make_runs("fresh")
    assert len({run.setup() for run in runs}) == 2
    assert len({run.setup(["paradigm"]) for run in runs}) == 1


def test_incomplete_designs_are_passed_over_however_large() -> None:
    small = make_runs("replace", "greedy")
    large = make_runs("replace", settings={"denoiser": "unet"}, seeds=tuple(range(9)))
    is_selected = lambda group: any(run.strategy == "greedy" for run in group)  # noqa: E731
    assert designs([*large, *small], is_selected) == [small]
    assert designs(large, is_selected) == []


def test_data_sets_and_spaces_are_told_apart() -> None:
    runs = make_runs() + make_runs(data="mnist") + make_runs(space="dinov2")
    assert len(designs(runs, bool)) == 3


def test_of_two_runs_with_one_seed_the_longer_counts() -> None:
    short, long = make_runs(seeds=(0,), num_generations=2, a=towards(1)), make_runs(seeds=(0,), a=towards(1))
    assert of(short + long, "uniform") == of(long + short, "uniform") == {0: long[0]}


@pytest.mark.parametrize(("lengths", "last"), [((8, 8, 8, 2), 8), ((8, 8, 2), 2), ((8, 4), 4), ((), 0)])
def test_the_last_generation_is_the_one_that_three_have_reached(lengths: tuple[int, ...], last: int) -> None:
    groups = [make_runs(seeds=(0,), num_generations=length, a=towards(1)) for length in lengths]
    assert last_shared(groups, "a") == last
    assert last_shared(groups, "b") == 0
