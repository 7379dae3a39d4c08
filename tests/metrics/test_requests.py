"""What a metric cannot measure is refused before anything is trained, by path, with the value and what is allowed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tiny import tiny

from raycollapse.errors import RequestError
from raycollapse.metrics import (
    Authenticity,
    Ct,
    DuplicatesMetric,
    EntropyMetric,
    Fidelity,
    Frechet,
    Generalization,
    GeneralizationRatio,
    Kid,
    Metric,
    Points,
    Spread,
    Vendi,
)
from raycollapse.runner import run_here

NUM_TRAIN, NUM_HELD_OUT = 40, 24

TOO_MUCH: list[tuple[dict[str, Any], str]] = [
    (
        {"name": "entropy", "k": 40},
        "k is 40; with N = 40 (data.num_train) it must lie in 1..39, the number of other points",
    ),
    (
        {"name": "fidelity", "k": 50},
        "k is 50; with N = 40 (data.num_train) it must lie in 1..39, the number of other points",
    ),
    ({"name": "kid", "subset_size": 41}, "subset_size is 41; with N = 40 (data.num_train) it must lie in 2..40"),
    ({"name": "ct", "num_cells": 41}, "num_cells is 41; with N = 40 (data.num_train) it must lie in 1..40"),
    (
        {"name": "ct", "min_population": 25},
        "min_population is 25, but data.num_train is 40 and data.num_held_out 24, so that no cell could be tested; it "
        "must be at most 24",
    ),
]

JUST_ENOUGH: list[Metric] = [
    EntropyMetric(k=39), Fidelity(k=39), Kid(subset_size=40), Kid(), Ct(num_cells=40, min_population=24), Spread(),
    Vendi(), Generalization(), GeneralizationRatio(), Authenticity(), DuplicatesMetric(), Frechet(),
]  # fmt: skip


def points(num: int, rng: np.random.Generator) -> Points:
    return Points(rng.standard_normal((num, 3)).astype(np.float32), np.zeros(num, np.int64))


def measured(metric: Metric, num_train: int, num_held_out: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    sets = (points(num, rng) for num in (num_train, num_held_out, num_train, num_train))
    return dict(metric.measure(*sets))


@pytest.mark.parametrize(("metric", "expected"), TOO_MUCH)
def test_a_setting_beyond_the_data_is_refused_once_the_device_is_known(
    metric: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    experiment = tiny(tmp_path, metrics=["spread", metric])
    with pytest.raises(RequestError) as refused:
        experiment.on("cpu")
    assert str(refused.value).startswith(f"metrics[1].{expected}. ")


def test_every_refused_metric_is_told_at_once(tmp_path: Path) -> None:
    experiment = tiny(tmp_path, metrics=[{"name": "entropy", "k": 99}, "spread", {"name": "fidelity", "k": 98}])
    with pytest.raises(RequestError) as refused:
        experiment.on("cpu")
    first, second = str(refused.value).splitlines()
    assert first.startswith("metrics[0].k is 99") and second.startswith("metrics[2].k is 98")


@pytest.mark.parametrize("metric", JUST_ENOUGH)
def test_what_is_not_refused_is_measured(metric: Metric) -> None:
    metric.check_request("metrics[0]", NUM_TRAIN, NUM_HELD_OUT)
    assert all(np.isfinite(value) for value in measured(metric, NUM_TRAIN, NUM_HELD_OUT).values())


@pytest.mark.parametrize(
    "metric", [EntropyMetric(), Fidelity(), Kid(), Ct(), Spread(), Authenticity(), DuplicatesMetric(), Frechet()]
)
def test_a_single_image_is_refused_where_it_could_not_be_measured(metric: Metric) -> None:
    with pytest.raises(RequestError, match=r"data\.num_train is 1[ ,:]|with N = 1 |num_train is 1 and"):
        metric.check_request("metrics[0]", 1, 1)


@pytest.mark.parametrize("metric", [Generalization(), GeneralizationRatio(), Vendi(), DuplicatesMetric(threshold=1.0)])
def test_a_single_image_is_accepted_where_it_can_be_measured(metric: Metric) -> None:
    metric.check_request("metrics[0]", 1, 1)
    assert measured(metric, 1, 1)


@pytest.mark.parametrize("metric", [GeneralizationRatio(), Ct()])
def test_what_compares_with_held_out_points_needs_some(metric: Metric) -> None:
    with pytest.raises(RequestError, match=r"data\.num_held_out (is )?0"):
        metric.check_request("metrics[0]", NUM_TRAIN, 0)


def test_the_default_subset_takes_all_points_of_a_small_set() -> None:
    assert measured(Kid(), 40, 24)["quality/kd_deviation"] == 0.0


class Picky(Metric):
    """A metric of somebody's own that has a say too."""

    name: str = "picky"

    def measure(self, real: Any, held_out: Any, train_set: Any, synthetic: Any) -> Any:
        yield "picky", 1.0

    def check_request(self, where: str, num_train: int, num_held_out: int) -> None:
        raise RequestError(f"{where} wants another {num_train} and {num_held_out}.")


def test_a_metric_from_elsewhere_may_refuse_too(tmp_path: Path) -> None:
    experiment = tiny(tmp_path, metrics=[f"{__name__}:Picky"])
    with pytest.raises(RequestError, match=r"metrics\[0\] wants another 40 and 24\."):
        experiment.on("cpu")


def test_nothing_is_stored_of_a_refused_experiment(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"metrics\[0\]\.k is 40"):
        run_here(tiny(tmp_path / "results", metrics=[{"name": "entropy", "k": 40}]), Console(quiet=True))
    assert not (tmp_path / "results").exists()
