"""What a record and a configuration become, within MLflow's rules."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from raycollapse.tracking import GenerationRecord, TrialRecords
from raycollapse.tracking import projection as p

MakeTrial = Callable[..., TrialRecords]


def record(generation: int = 3, **metrics: float) -> GenerationRecord:
    return GenerationRecord(generation=generation, timestamp=12.3456, metrics=metrics, stages={})


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=400))
def test_mlflow_takes_every_safe_name(name: str) -> None:
    safe = p.safe_name(name)
    _validate_metric_name(safe)
    _validate_param_name(safe)
    assert len(safe) <= 250


@pytest.mark.parametrize("name", ["quality/fd", "memorization/generalization_score", "training.learning_rate", "a b-c"])
def test_a_name_that_mlflow_takes_stays_as_it_is(name: str) -> None:
    assert p.safe_name(name) == name


def test_points_carry_the_recorded_time_and_the_generation() -> None:
    (point,) = p.metric_points(record(fd=2.5))
    assert point == p.Point("fd", 2.5, 12346, 3)


def test_an_infinity_is_a_tag_and_no_point_and_nan_a_point_and_no_tag() -> None:
    own = record(a=math.inf, b=-math.inf, c=math.nan)
    assert [point.name for point in p.metric_points(own)] == ["c"]
    assert p.infinity_tags(own) == {"nonfinite.a.generation_0003": "inf", "nonfinite.b.generation_0003": "-inf"}


def test_a_value_is_a_changed_one_only_where_another_was_logged() -> None:
    own = record(a=1.0, b=2.0, c=math.nan)
    assert p.changed_tags(own, {}) == {}
    assert p.changed_tags(own, {"a": "1.0", "c": "nan"}) == {}
    assert p.changed_tags(own, {"a": "0.5", "b": "2.0"}) == {"changed.a.generation_0003": "1.0"}


def test_parameters_are_what_cannot_change_between_runs_of_a_trial(make_trial: MakeTrial) -> None:
    few = make_trial(num_generations=1, training={"num_steps": 100, "warmup_steps": 5, "checkpoint_steps": 7})
    before = p.params(few.read_config() or {})
    more = make_trial(
        num_generations=9, metrics=[], training={"num_steps": 100, "warmup_steps": 5, "checkpoint_steps": 8},
        resources={"num_actors": 4}, tracking={"mlflow": False},
    )  # fmt: skip
    assert few.trial_key == more.trial_key
    assert p.params(more.read_config() or {}) == before
    assert before["training.num_steps"] == "100"
    assert before["selection.name"] == "uniform"


def test_long_values_are_cut_to_what_mlflow_stores(make_trial: MakeTrial) -> None:
    config = {**(make_trial().read_config() or {}), "note": "x" * 10_000}
    assert len(p.params(config)["note"]) == 6000


def test_the_space_of_an_extractor_that_is_not_installed_is_its_import_path(make_trial: MakeTrial) -> None:
    config = make_trial().read_config() or {}
    assert p.tags(config)["raycollapse.space"] == "pixels"
    other = {**config, "features": {"name": "not_installed.module:Extractor"}}
    assert p.tags(other)["raycollapse.space"] == "not_installed.module:Extractor"
