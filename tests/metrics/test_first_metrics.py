"""What the metrics of the first version yield, on how many points; and what holds for the values of all."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from raycollapse.maths.moments import covariance_trace
from raycollapse.metrics import AnyMetric, Points
from raycollapse.metrics.entropy import kozachenko_leonenko
from raycollapse.metrics.generalization import generalization_score
from raycollapse.metrics.spread import mean_nearest_distance


def points(num, seed, generation=0):
    features = np.random.default_rng(seed).normal(size=(num, 4)).astype(np.float32)
    return Points(features, np.full(num, generation))


REAL, HELD_OUT, SYNTHETIC, TRAIN = points(40, 0), points(30, 1), points(90, 2, 1), points(80, 3)


def measured(name):
    return dict(TypeAdapter(AnyMetric).validate_python(name).measure(REAL, HELD_OUT, TRAIN, SYNTHETIC))


def test_entropy_is_measured_on_as_many_points_as_are_real():
    values = measured("entropy")
    assert values["entropy/train_set"] == kozachenko_leonenko(TRAIN.features[:40]).value
    assert values["entropy/synthetic"] == kozachenko_leonenko(SYNTHETIC.features[:40]).value
    assert values["entropy/train_set_at_floor"] == values["entropy/synthetic_at_floor"] == 0.0


def test_generalization_is_measured_against_the_whole_train_set():
    expected = generalization_score(SYNTHETIC.features[:40], TRAIN.features)
    assert measured("generalization") == {"memorization/generalization_score": expected}


def test_spread_is_measured_on_as_many_points_as_are_real():
    values = measured("spread")
    assert values["diversity/covariance_trace_synthetic"] == covariance_trace(SYNTHETIC.features[:40])
    assert values["diversity/nearest_distance_train_set"] == mean_nearest_distance(TRAIN.features[:40])
    assert len(values) == 4


@pytest.mark.parametrize("name", [member.model_fields["name"].default for member in AnyMetric.__origin__.__args__])
def test_every_value_is_a_plain_number_and_every_name_has_a_group(name):
    for key, value in measured(name).items():
        assert type(value) is float and key.count("/") == 1
