"""A name that has results already: more of the same extends it, another value of the same is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from raycollapse.config import Experiment, build
from raycollapse.continuation import check_continuation
from raycollapse.errors import RequestError
from raycollapse.expansion import expand
from raycollapse.store import Store
from raycollapse.tracking.records import GenerationRecord, TrialRecords

BASE = yaml.safe_load("""
name: try
data: {name: digits, num_train: 64}
paradigm: replace
selection: uniform
num_generations: 2
denoiser: {name: mlp, width: 16}
training: {num_steps: 10, warmup_steps: 2, learning_rate: 1.0e-3}
features: pixels
metrics: [entropy]
""")
GRID = {"grid": {"selection": ["uniform", {"name": "threshold_decay", "decay": 0.9}]}}


def experiment(**changes: Any) -> Experiment:
    return build({**BASE, **changes})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def run(store: Store, own: Experiment) -> None:
    """Leave what a run of the experiment leaves: checked, and a record for each trial."""
    check_continuation(store, own, expand(own))
    for trial in expand(own):
        records = TrialRecords(store, trial.name, trial.trial_key())
        records.write_config(trial.resolved())
        records.add(GenerationRecord(generation=1, metrics={}, stages={}))


def training(**changes: Any) -> dict[str, Any]:
    return {**BASE["training"], **changes}


def test_the_first_run_of_a_name_is_free(store: Store) -> None:
    run(store, experiment())


def test_the_same_again_is_welcome(store: Store) -> None:
    for _ in range(2):
        run(store, experiment())


def test_another_learning_rate_is_refused_with_the_difference(store: Store) -> None:
    run(store, experiment())
    with pytest.raises(RequestError) as refused:
        run(store, experiment(training=training(learning_rate=2e-3)))
    assert str(refused.value) == (
        f"try has results in {store.uri} with other settings:\n"
        "  training.learning_rate was 0.001, now it is 0.002\n"
        "Give the experiment another name (--set name=...), or put the earlier values back."
    )


def test_every_difference_is_told(store: Store) -> None:
    run(store, experiment())
    changed = experiment(
        data={"name": "digits", "num_train": 32}, paradigm="accumulate", training=training(ema=0.9, batch_size=8)
    )
    with pytest.raises(RequestError) as refused:
        run(store, changed)
    assert [line.strip() for line in str(refused.value).splitlines()[1:-1]] == [
        "data.num_train was 64, now it is 32",
        "paradigm.name was 'replace', now it is 'accumulate'",
        "paradigm.oversample was 2, now it is 1",
        "training.batch_size was 128, now it is 8",
        "training.ema was not set, now it is 0.9",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"num_generations": 5},
        {"num_generations": 1},
        {"seed": 7},
        {"metrics": ["entropy", "spread"]},
        {"metrics": []},
        {"resources": {"num_actors": 3, "max_concurrent_trials": 2}},
        {"training": training(checkpoint_steps=3)},
        {"tracking": {"mlflow": False}},
        {"sweep": {"grid": {"seed": [0, 1, 2]}}},
        {"sweep": {"grid": {"selection": ["uniform", "greedy"]}}},
        {"sweep": {"grid": {"training.learning_rate": [1e-3, 2e-3]}}},
        {"sweep": {"grid": {"selection.name": ["uniform", "keep_all"], "paradigm": ["replace", "accumulate"]}}},
    ],
)
def test_more_of_the_same_is_welcome(store: Store, changes: dict[str, Any]) -> None:
    run(store, experiment())
    run(store, experiment(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"resources": {"threads": 2}},
        {"resources": {"train_workers": 2}},
        {"sampling": {"shard_size": 64}},
        {"denoiser": {"name": "mlp", "width": 32}},
        {"sweep": {"grid": {"selection": ["uniform", "greedy"]}}, "training": training(learning_rate=2e-3)},
    ],
)
def test_other_settings_that_change_results_are_refused(store: Store, changes: dict[str, Any]) -> None:
    run(store, experiment())
    with pytest.raises(RequestError, match="has results in"):
        run(store, experiment(**changes))


def test_another_storage_or_another_name_starts_anew(store: Store, tmp_path: Path) -> None:
    run(store, experiment())
    run(Store(str(tmp_path / "elsewhere")), experiment(training=training(learning_rate=2e-3)))
    run(store, experiment(name="other", training=training(learning_rate=2e-3)))


def test_a_grid_takes_further_points(store: Store) -> None:
    run(store, experiment(sweep=GRID))
    run(store, experiment(sweep={"grid": {"selection": ["greedy", {"name": "threshold_decay", "decay": 0.5}]}}))
    run(store, experiment(sweep={"grid": {**GRID["grid"], "seed": [0, 1]}}))


def test_after_a_sweep_any_of_its_values_may_be_run_alone(store: Store) -> None:
    run(store, experiment(sweep=GRID))
    run(store, experiment(selection="uniform"))
    run(store, experiment(selection={"name": "threshold_decay", "decay": 0.9}))
    with pytest.raises(RequestError, match=r"selection\.decay was 0\.9 or not set, now it is 0\.8"):
        run(store, experiment(selection={"name": "threshold_decay", "decay": 0.8}))
    with pytest.raises(RequestError, match=r"selection\.name was 'threshold_decay' or 'uniform', now it is 'greedy'"):
        run(store, experiment(selection="greedy"))


def test_a_field_swept_in_another_grid_is_still_held_to_its_values(store: Store) -> None:
    run(store, experiment(sweep={"grid": {"training.learning_rate": [1e-3, 2e-3]}}))
    run(store, experiment(training=training(learning_rate=2e-3), sweep=GRID))
    with pytest.raises(RequestError, match=r"learning_rate was 0\.001 or 0\.002, now it is 0\.003"):
        run(store, experiment(training=training(learning_rate=3e-3), sweep=GRID))


def test_a_field_added_since_the_last_run_is_no_difference_at_its_default(store: Store) -> None:
    own = experiment()
    run(store, own)
    records = TrialRecords(store, own.name, own.trial_key())
    stored = own.resolved()
    del stored["training"]["beta_end"], stored["data"]["num_held_out"]
    records.write_config(stored)
    check_continuation(store, own, expand(own))
    with pytest.raises(RequestError, match=r"training\.beta_end was 0\.02, now it is 0\.03"):
        changed = experiment(training=training(beta_end=0.03))
        check_continuation(store, changed, expand(changed))


def test_a_trial_stopped_before_its_first_generation_holds_to_nothing(store: Store) -> None:
    mistyped = experiment(training=training(learning_rate=1e3))
    TrialRecords(store, mistyped.name, mistyped.trial_key()).write_config(mistyped.resolved())
    run(store, experiment())
