"""The plan: what a run will make, counted without making it, and equal to what is then made."""

from pathlib import Path
from typing import Any

import pytest
from tiny import manifests, run, tiny

from raycollapse.config import load
from raycollapse.expansion import expand
from raycollapse.plan import plan, stages_of

QUICKSTART = Path(__file__).parents[1] / "experiments" / "quickstart.yaml"


def test_the_quickstart_trains_one_first_model_and_three_for_each_of_its_six_trials(tmp_path: Path) -> None:
    found = plan([trial.on("cpu") for trial in expand(load(QUICKSTART, [f"storage={tmp_path}"]))])
    assert found.num_in_all["train"] == 6 * 4
    assert found.num_shared["train"] == 1 + 6 * 3
    assert found.num_shared["real"] == 1
    assert found.num_in_all["select"] == found.num_shared["select"] == 6 * 3
    assert not list(tmp_path.iterdir())  # nothing was made


GRID = {"selection": ["uniform", "greedy", "keep_all"], "paradigm": ["replace", "accumulate"]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"paradigm": "accumulate", "num_generations": 3},
        {"selection": "keep_all"},
        {"selection": "uniform", "data": {"name": "digits", "num_train": 50, "num_held_out": 20}},
        {"num_generations": 1, "metrics": []},
        {"sweep": {"grid": GRID}},
    ],
)
def test_what_is_planned_is_exactly_what_is_made(changes: dict[str, Any], tmp_path: Path) -> None:
    trials = [trial.on("cpu") for trial in expand(tiny(tmp_path, **changes))]
    planned = plan(trials)
    for trial in trials:
        run(trial)
    made = manifests(tmp_path)
    assert planned.shared.keys() == made.keys()
    assert {key: stage.full_identity for key, stage in planned.shared.items()} == {
        key: manifest.identity for key, manifest in made.items()
    }


def test_a_plan_lists_stages_in_the_order_they_are_needed(tmp_path: Path) -> None:
    kinds = list(dict.fromkeys(kind for kind, _ in stages_of(tiny(tmp_path))))
    assert kinds == ["real", "features", "train", "sample", "measure", "picture", "select"]


def test_one_trial_shares_nothing_with_itself(tmp_path: Path) -> None:
    found = plan([tiny(tmp_path, num_generations=3)])
    assert found.num_in_all == found.num_shared


def test_trials_share_all_stages_up_to_the_generation_at_which_they_part(tmp_path: Path) -> None:
    first, second = (stages_of(tiny(tmp_path, selection=name)) for name in ("greedy", "keep_all"))
    shared = {key: stage for key, stage in first.items() if key in second}
    assert {(kind, getattr(stage, "generation", 0)) for (kind, _), stage in shared.items()} == {
        ("real", 0), ("features", 0), ("train", 1), ("sample", 1), ("measure", 0), ("picture", 0),
    }  # fmt: skip
    of_generation_1 = [
        key for key, stage in first.items() if getattr(stage, "generation", 2) == 1 and key[0] != "select"
    ]
    assert set(of_generation_1) <= shared.keys()
