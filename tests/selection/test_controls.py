"""The controls in a loop: each runs there, sees what it is promised, and is read from a configuration."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import manifests, run, tiny

from raycollapse.errors import RequestError
from raycollapse.features import Pixels
from raycollapse.plan import stages_of
from raycollapse.selection.covariance_matching import match_covariance
from raycollapse.stages.selecting import SelectStage
from raycollapse.store import Store
from raycollapse.trial import real_stage

CONTROLS: list[dict[str, Any]] = [
    {"name": "k_center_per_source", "metric": "cosine"},
    {"name": "k_means", "num_iterations": 3},
    {"name": "covariance_matching"},
    {"name": "density_top", "k": 3},
]


def select_stages(**changes: Any) -> list[SelectStage]:
    stages = stages_of(tiny(Path("/nowhere"), **changes).on("cpu")).values()
    return [stage for stage in stages if isinstance(stage, SelectStage)]


@pytest.mark.parametrize("paradigm", ["replace", "accumulate"])
@pytest.mark.parametrize("selection", CONTROLS, ids=lambda selection: str(selection["name"]))
def test_a_loop_runs_with_every_control(selection: dict[str, Any], paradigm: str, tmp_path: Path) -> None:
    records = run(tiny(tmp_path, selection=selection, paradigm=paradigm, metrics=[]))
    share = records[1].metrics["selection/real_share"]
    (facts,) = [manifest.facts for manifest in manifests(tmp_path).values() if manifest.kind == "select"]
    assert (facts["num"], facts["num_pool"]) == (40, 80)
    if paradigm == "replace":
        assert share == 0
    elif selection["name"] == "k_center_per_source":
        assert share == 0.5
    else:
        assert share > 0  # this model has learnt nothing, so some of them take real images only


@pytest.mark.parametrize("paradigm", ["replace", "accumulate"])
def test_covariance_matching_is_given_the_whole_real_train_set(paradigm: str, tmp_path: Path) -> None:
    own = tiny(tmp_path, selection="covariance_matching", paradigm=paradigm, metrics=[])
    run(own)
    (stage,) = select_stages(selection="covariance_matching", paradigm=paradigm)
    store = Store(str(tmp_path))
    pool = np.concatenate([source.features(store, Pixels(), "cpu", 1) for source in stage.sources])
    real = real_stage(own).train().features(store, Pixels(), "cpu", 1)
    assert real.shape == (40, 64)
    picks = stage.train_set().picks(store)
    assert picks.tolist() == match_covariance(pool, 40, real).tolist()
    assert picks.tolist() != match_covariance(pool, 40, pool).tolist()


def test_the_real_set_enters_the_keys_of_strategies_that_use_it_and_of_no_others() -> None:
    for selection in ("uniform", "greedy", "threshold_decay", *CONTROLS):
        (stage,) = select_stages(selection=selection)
        assert (stage.real is not None) == ("real" in stage.identity()) == stage.strategy.needs_real
        assert stage.strategy.needs_real == (stage.strategy.name == "covariance_matching")
        if stage.real is not None:
            assert stage.identity()["real"] == real_stage(tiny(Path("/nowhere"))).train().identity()


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({"name": "k_center_per_source", "metric": "l1"}, "selection.metric is 'l1'; it must be 'l2' or 'cosine'."),
        ({"name": "k_means", "num_iterations": 0}, "selection.num_iterations is 0; it must be at least 1."),
        ({"name": "k_means", "k": 5}, "selection.k is not a field. Its fields are: metric, name, num_iterations."),
        ({"name": "covariance_matching", "needs_real": False}, "selection.needs_real is not a field."),
        ({"name": "density_top", "k": 0}, "selection.k is 0; it must be at least 1."),
        ({"name": "density_top", "k": 2.5}, "selection.k is 2.5; it must be an integer."),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(selection: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=re.escape(said)):
        tiny(Path("/nowhere"), selection=selection)


@pytest.mark.parametrize(
    ("paradigm", "num"), [("replace", 80), ("accumulate", 80), ({"name": "replace", "oversample": 1}, 40)]
)
def test_a_neighbour_beyond_the_smallest_pool_is_refused_before_anything_starts(paradigm: Any, num: int) -> None:
    tiny(Path("/nowhere"), selection={"name": "density_top", "k": num - 1}, paradigm=paradigm).on("cpu")
    with pytest.raises(RequestError, match=f"selection.k is {num}; it must be less than .* {num} at first"):
        tiny(Path("/nowhere"), selection={"name": "density_top", "k": num}, paradigm=paradigm).on("cpu")
