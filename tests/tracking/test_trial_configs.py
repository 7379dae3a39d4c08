"""What tells the trials of an experiment apart."""

from collections.abc import Callable
from typing import Any

from raycollapse.tracking import TrialRecords
from raycollapse.tracking.trial_configs import labels

MakeTrial = Callable[..., TrialRecords]

TDF: dict[str, Any] = {"name": "threshold_decay", "threshold": 600.0}


def labels_of(*trials: TrialRecords) -> list[str]:
    return list(labels({trial.trial_key: trial.read_config() or {} for trial in trials}).values())


def test_a_label_is_paradigm_and_strategy(make_trial: MakeTrial) -> None:
    assert labels_of(make_trial()) == ["replace, uniform"]
    both = labels_of(make_trial(), make_trial(paradigm="accumulate", selection="greedy"))
    assert both == ["replace, uniform", "accumulate, greedy"]


def test_seeds_are_replicates_and_no_part_of_the_label(make_trial: MakeTrial) -> None:
    assert labels_of(*(make_trial(seed=seed) for seed in range(3))) == ["replace, uniform"] * 3


def test_a_field_that_only_one_strategy_has_is_no_difference(make_trial: MakeTrial) -> None:
    assert labels_of(make_trial(), make_trial(selection=TDF)) == ["replace, uniform", "replace, threshold_decay"]


def test_a_field_that_differs_within_a_strategy_is_named_there_only(make_trial: MakeTrial) -> None:
    trials = [make_trial(), *(make_trial(selection={**TDF, "decay": decay}) for decay in (0.8, 0.9))]
    assert labels_of(*trials) == [
        "replace, uniform", "replace, threshold_decay, decay=0.8", "replace, threshold_decay, decay=0.9",
    ]  # fmt: skip


def test_a_field_that_differs_between_strategies_is_named_too(make_trial: MakeTrial) -> None:
    slow = {"num_steps": 100, "warmup_steps": 5, "learning_rate": 1e-5}
    assert labels_of(make_trial(), make_trial(selection="greedy", training=slow)) == [
        "replace, uniform, learning_rate=0.0001", "replace, greedy, learning_rate=1e-05",
    ]  # fmt: skip


def test_another_member_is_named_by_its_family(make_trial: MakeTrial) -> None:
    mlp = make_trial().read_config() or {}
    unet = {**mlp, "denoiser": {"name": "unet", "channels": [16, 32]}}
    assert list(labels({"a": mlp, "b": unet}).values()) == [
        "replace, uniform, denoiser=mlp",
        "replace, uniform, denoiser=unet",
    ]


def test_two_fields_of_one_name_are_told_apart_by_their_paths(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(training={"num_steps": steps, "warmup_steps": 5}, sampling={"num_steps": steps})
        for steps in (100, 200)
    ]
    assert labels_of(*trials)[0] == "replace, uniform, sampling.num_steps=100, training.num_steps=100"


def test_trials_that_nothing_shown_tells_apart_bear_their_keys(make_trial: MakeTrial) -> None:
    config = make_trial().read_config() or {}
    assert list(labels({"abcdef123": config, "fedcba321": config}).values()) == [
        "replace, uniform (abcdef)", "replace, uniform (fedcba)",
    ]  # fmt: skip


def test_a_thousand_trials_are_compared_in_no_time(make_trial: MakeTrial) -> None:
    config = make_trial().read_config() or {}
    many = {str(seed): {**config, "seed": seed} for seed in range(1000)}
    assert set(labels(many).values()) == {"replace, uniform"}
