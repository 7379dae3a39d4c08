"""What a search is refused for, before any work: each with its path and what to do."""

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from tiny import TINY, tiny

from raycollapse.config import build, load
from raycollapse.errors import RequestError
from raycollapse.expansion import expand
from raycollapse.show import show_plan

SEARCH = """
space: {selection.decay: {name: uniform, low: 0.5, high: 0.9}}
objectives: {quality/fd: minimise}
num_trials: 3
"""


def search(change: str = "") -> dict[str, Any]:
    return {"search": {**yaml.safe_load(SEARCH), **(yaml.safe_load(change) or {})}}


def complaint(sweep: dict[str, Any]) -> str:
    with pytest.raises(RequestError) as refused:
        expand(build({**TINY, "selection": "threshold_decay", "sweep": sweep}, "try.yaml"))
    return str(refused.value)


def test_the_search_itself_is_accepted_and_stands_for_trials_all_over_its_space() -> None:
    trials = expand(build({**TINY, "selection": "threshold_decay", "sweep": search()}))
    assert [trial.selection.model_dump()["decay"] for trial in trials] == [0.5, pytest.approx(0.747, abs=1e-3), 0.9]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "space: {selection.decayy: {name: uniform, low: 0.1, high: 0.2}}",
            "decayy is not a field. Did you mean decay?",
        ),
        ("space: {trainin.num_steps: {name: int, low: 4, high: 9}}", "trainin is not a field. Did you mean training?"),
        ("space: {training.num_steps: {name: uniform, low: 4, high: 9}}", "it must be an integer"),
        ("space: {selection.decay: {name: choice, values: [fast]}}", "selection.decay is 'fast'; it must be a number"),
        ("space: {selection.decay: {name: uniform, low: 0.9, high: 1.2}}", "it must lie strictly between 0 and 1"),
        (
            "space: {selection.decay: {name: uniform, low: 0.9, high: 0.2}}",
            "selection.decay: low is 0.9 and high is 0.2",
        ),
        ("space: {selection.decay: {name: uniform, low: 0.9}}", "selection.decay.high is missing"),
        ("space: {selection.decay: {name: loguniform, low: 0, high: 0.2}}", "low is 0; it must be greater than 0"),
        (
            "space: {selection.decay: {name: unifrom, low: 0}}",
            "uniform, loguniform, int, choice. Did you mean uniform?",
        ),
        ("space: {selection.decay: {name: choice, values: []}}", "it must have at least 1 value(s)"),
        ("space: {selection.decay: {name: choice, values: [0.5, 0.5]}}", "it lists 0.5 twice"),
        ("space: {num_generations: {name: int, low: 1, high: 3}}", "cannot vary between trials of one sweep"),
        (
            "space: {selection: {name: choice, values: [greedy]}, selection.decay: {name: int, low: 0, high: 9}}",
            "selection.decay lies within selection, and both vary",
        ),
        ("space: {}", "sweep.search.space is {}; it must have at least 1 value(s)"),
        ("objectives: {}", "sweep.search.objectives is {}; it must have at least 1 value(s)"),
        ("objectives: {quality/fd: minimize}", "quality/fd is 'minimize'; it must be 'minimise' or 'maximise'"),
        ("objectives: {quality/fdd: minimise}", "does not record. Did you mean quality/fd?"),
        ("objectives: {quality/fid: minimise}", "Name one of these, or add a metric"),
        ("num_trials: 0", "sweep.search.num_trials is 0; it must be at least 1"),
        ("max_hours: 0", "sweep.search.max_hours is 0; it must be greater than 0"),
        ("num_trial: 3", "num_trial is not a field. Did you mean num_trials?"),
    ],
)
def test_a_mistake_is_told(change: str, expected: str) -> None:
    assert expected in complaint(search(change))


def test_a_grid_and_a_search_together_are_refused() -> None:
    assert "it has a grid and a search" in complaint({**search(), "grid": {"seed": [0, 1]}})
    assert "it has neither a grid nor a search" in complaint({})


@pytest.mark.parametrize("sweep", [{"scheduler": "pbt"}, {"scheduler": {"name": "PB2"}}, {"pbt": {}}])
def test_population_based_training_is_refused_with_the_reason(sweep: dict[str, Any]) -> None:
    assert "each generation's model is made anew" in complaint({**search(), **sweep})


def test_a_field_that_the_search_draws_is_not_set_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "try.yaml"
    file.write_text(yaml.safe_dump({**TINY, "selection": "threshold_decay", "sweep": search()}))
    with pytest.raises(RequestError, match=r"sweep\.search draws values of its own") as refused:
        load(file, ["selection.decay=0.7"])
    advice = str(refused.value).partition("Set '")[2].partition("' for")[0]
    (trial,) = expand(load(file, [advice]))
    assert trial.selection.model_dump()["decay"] == 0.7


def test_show_tells_the_search_and_the_plan_of_one_trial(tmp_path: Path) -> None:
    stream = io.StringIO()
    own = tiny(tmp_path, selection="threshold_decay", sweep=search())
    show_plan(own, Console(file=stream, width=120), None)
    told = stream.getvalue()
    assert "selection.decay: uniform low 0.5, high 0.9" in told
    assert "for minimise quality/fd at the last generation." in told
    assert "3 trial(s), 2 generation(s) each" in told and "would be refused" not in told
