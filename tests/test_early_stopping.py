"""Trials stopped early: they end where the rule says, stay ended in later runs, and go on without the rule."""

import io
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState
from rich.console import Console
from tiny import manifests, tiny

from raycollapse.config import Experiment, build
from raycollapse.early_stopping import forget_other_rules
from raycollapse.errors import RequestError
from raycollapse.expansion import expand
from raycollapse.report.search import found_by_search
from raycollapse.runner import Result, run_here
from raycollapse.scheduling import Asha
from raycollapse.search.study import _open_study
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords, trial_keys

ASHA = {"name": "asha", "metric": "quality/fd", "mode": "minimise", "reduction_factor": 2}
STEPS = [20, 1]
"""A model trained in one step is worse than one trained in 20, whatever the seed."""


def sweep(folder: Path, scheduler: dict[str, Any] | None = None, **changes: Any) -> Experiment:
    training = {"num_steps": 20, "warmup_steps": 0, "batch_size": 16, "learning_rate": 1e-2}
    own = {"grid": {"training.num_steps": STEPS}, "scheduler": ASHA if scheduler is None else scheduler}
    return tiny(folder, **{"training": training, "num_generations": 3, "sweep": own, **changes})


def run(experiment: Experiment) -> tuple[Result, str]:
    out = io.StringIO()
    return run_here(experiment, Console(file=out, width=300)), out.getvalue()


def lengths(folder: Path, experiment: Experiment) -> list[int]:
    """Return how many generations each trial of a grid has recorded."""
    store = Store(str(folder))
    return [len(TrialRecords(store, "tiny", trial.on("cpu").trial_key()).read()) for trial in expand(experiment)]


def test_a_hopeless_trial_ends_at_a_rung_is_told_and_stays_ended(tmp_path: Path) -> None:
    experiment = sweep(tmp_path)
    result, out = run(experiment)
    assert lengths(tmp_path, experiment) == [3, 1]
    assert not result.failures
    ((label, reason),) = result.stops.items()
    assert label.endswith("num_steps=1") and reason.startswith("quality/fd is ")
    assert f"{label} stopped early: {reason}" in out
    made = manifests(tmp_path)

    again, out = run(experiment)
    assert again.stops == result.stops and again.compute.made.seconds == 0.0
    assert "; at most " in out.splitlines()[0]
    assert manifests(tmp_path).keys() == made.keys()


def test_a_damaged_verdict_is_told_and_come_to_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    experiment = sweep(tmp_path)
    result, _ = run(experiment)
    (note,) = tmp_path.glob("experiments/tiny/*/stop.json")
    kept = note.read_bytes()
    note.write_bytes(kept[: len(kept) // 2])
    again, _ = run(experiment)
    assert "The trial counts as not stopped." in caplog.text
    assert again.stops == result.stops and note.read_bytes() == kept
    assert lengths(tmp_path, experiment) == [3, 1]


def test_without_the_rule_or_with_another_a_stopped_trial_goes_on(tmp_path: Path) -> None:
    run(sweep(tmp_path))
    other = sweep(tmp_path, {**ASHA, "grace_period": 2})
    result, _ = run(other)
    assert lengths(tmp_path, other) == [3, 2] and len(result.stops) == 1
    result, _ = run(sweep(tmp_path, sweep={"grid": {"training.num_steps": STEPS}}))
    assert lengths(tmp_path, other) == [3, 3] and not result.stops


def test_a_trial_that_went_on_is_not_judged_again_by_what_came_later(tmp_path: Path) -> None:
    worse_first = sweep(tmp_path, sweep={"grid": {"training.num_steps": STEPS[::-1]}, "scheduler": ASHA})
    for _ in range(2):  # the first to come to a rung has nobody to be compared with
        result, _ = run(worse_first)
        assert lengths(tmp_path, worse_first) == [3, 3] and not result.stops


def test_a_stopped_trial_is_finished_in_mlflow_and_says_why(tmp_path: Path) -> None:
    run(sweep(tmp_path, tracking={"mlflow": True}))
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (known,) = [one for one in client.search_experiments() if one.name == "tiny"]
    runs = client.search_runs([known.experiment_id])
    stopped = [run for run in runs if "raycollapse.stopped_early" in run.data.tags]
    assert [run.data.params["training.num_steps"] for run in stopped] == ["1"]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_search_tells_optuna_what_stopped_trials_had_come_to(tmp_path: Path) -> None:
    search = {
        "space": {"training.num_steps": {"name": "choice", "values": STEPS}},
        "objectives": {"quality/fd": "minimise"}, "num_trials": 6, "num_random": 6,
    }  # fmt: skip
    experiment = sweep(tmp_path, sweep={"search": search, "scheduler": ASHA})
    result, _ = run(experiment)
    assert len(trial_keys(Store(str(tmp_path)), "tiny")) == 2
    study = _open_study(experiment, build(experiment.resolved()).sweep.search, Store(str(tmp_path)))  # type: ignore[union-attr,arg-type]
    states = {trial.params["training.num_steps"]: trial for trial in study.trials}
    found = found_by_search(Store(str(tmp_path)), "tiny")
    assert found is not None and found.num_stopped == len(result.stops)
    if result.stops:  # the better one came first
        assert states["1"].state == TrialState.PRUNED and list(states["1"].intermediate_values) == [1]
    assert states["20"].state == TrialState.COMPLETE


def test_without_the_rule_a_search_learns_what_stopped_trials_came_to_in_the_end(tmp_path: Path) -> None:
    search = {
        "space": {"training.num_steps": {"name": "choice", "values": STEPS}},
        "objectives": {"quality/fd": "minimise"}, "num_trials": 6, "num_random": 6,
    }  # fmt: skip
    run(sweep(tmp_path, sweep={"search": search, "scheduler": ASHA}))
    plain = sweep(tmp_path, sweep={"search": search})
    result, _ = run(plain)
    study = _open_study(plain, plain.sweep.search, result.store)  # type: ignore[union-attr,arg-type]
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 6


def test_damaged_records_of_one_trial_fail_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(sweep(tmp_path, sweep={"grid": {"training.num_steps": STEPS[1:]}}))
    (records,) = tmp_path.glob("experiments/tiny/*/records.jsonl")
    records.write_bytes(b"{}\n" + records.read_bytes())
    result, _ = run(sweep(tmp_path))
    assert not result.failures
    assert "Other trials are not compared with it." in caplog.text


def test_a_verdict_at_what_is_the_last_generation_now_is_forgotten(tmp_path: Path) -> None:
    rule = {**ASHA, "grace_period": 2}
    run(sweep(tmp_path, rule, num_generations=4))
    (note,) = tmp_path.glob("experiments/tiny/*/stop.json")
    records = TrialRecords(Store(str(tmp_path)), "tiny", note.parent.name)
    forget_other_rules(Asha.model_validate(rule), records, 3)
    assert note.exists()
    forget_other_rules(Asha.model_validate(rule), records, 2)
    assert not note.exists()


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ({**ASHA, "metric": "quality/fid"}, "sweep.scheduler.metric names quality/fid.*Did you mean quality/fd"),
        ({**ASHA, "grace_period": 3}, "no trial would ever be stopped"),
        ({**ASHA, "reduction_factor": 1}, "reduction_factor is 1; it must be at least 2"),
        ({**ASHA, "name": "hyperband"}, "sweep.scheduler.*hyperband.*asha, median"),
        ({"name": "median"}, "sweep.scheduler.metric is missing"),
        ({"name": "pb2"}, "population-based training"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_before_any_work(
    tmp_path: Path, scheduler: dict[str, Any], expected: str
) -> None:
    with pytest.raises(RequestError, match=expected):
        run(sweep(tmp_path, scheduler))
    assert not manifests(tmp_path)
