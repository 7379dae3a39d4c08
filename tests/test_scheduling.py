"""The rules of early stopping: the same verdicts as Ray Tune's, and what they say."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.tune.schedulers import MedianStoppingRule, TrialScheduler
from ray.tune.schedulers.async_hyperband import _Bracket

from raycollapse.errors import RequestError
from raycollapse.scheduling import Asha, MedianStopping, Scheduler
from raycollapse.search.settings import Direction

NUM_TRIALS, NUM_GENERATIONS = 12, 9


def arrivals(seed: int) -> list[tuple[int, int]]:
    """Return (trial, generation) in an order in which trials at once may come to their generations."""
    rng = np.random.default_rng(seed)
    left = [trial for trial in range(NUM_TRIALS) for _ in range(NUM_GENERATIONS)]
    done = [0] * NUM_TRIALS
    found = []
    for trial in rng.permutation(left):
        done[trial] += 1
        found.append((int(trial), done[trial]))
    return found


def verdicts(rule: Scheduler, values: np.ndarray, seed: int) -> dict[int, int]:
    """Return at which generation each stopped trial was stopped."""
    curves: dict[int, dict[int, float]] = {trial: {} for trial in range(NUM_TRIALS)}
    stopped: dict[int, int] = {}
    for trial, generation in arrivals(seed):
        if trial in stopped:
            continue
        curves[trial][generation] = values[trial, generation - 1]
        others = [curve for other, curve in curves.items() if other != trial]
        if generation < NUM_GENERATIONS and rule.reason_to_stop(curves[trial], others):
            stopped[trial] = generation
    return stopped


def values(seed: int) -> np.ndarray:
    """Return a metric of each trial (rows) at each generation."""
    rng = np.random.default_rng(seed)
    own: np.ndarray = rng.normal(size=(NUM_TRIALS, 1)) + rng.normal(scale=0.5, size=(NUM_TRIALS, NUM_GENERATIONS))
    return own


@pytest.mark.parametrize("mode", ["minimise", "maximise"])
@pytest.mark.parametrize("seed", range(5))
def test_asha_decides_as_ray_tune_does(mode: Direction, seed: int) -> None:
    rule = Asha(metric="quality/fd", mode=mode, grace_period=1, reduction_factor=2)
    theirs = _Bracket(1, NUM_GENERATIONS, 2, 0)
    sign = -1 if mode == "minimise" else 1
    expected: dict[int, int] = {}
    for trial, generation in arrivals(seed):
        if trial not in expected and generation < NUM_GENERATIONS:
            own = SimpleNamespace(trial_id=trial)
            if generation in (1, 2, 4, 8):  # a bracket makes good a rung that was missed; none is here
                action = theirs.on_result(own, generation, sign * values(seed)[trial, generation - 1])  # type: ignore[arg-type]
                if action == TrialScheduler.STOP:
                    expected[trial] = generation
    assert expected
    assert verdicts(rule, values(seed), seed) == expected


@pytest.mark.parametrize("mode", ["minimise", "maximise"])
@pytest.mark.parametrize("seed", range(5))
def test_the_median_rule_decides_as_ray_tune_does(mode: Direction, seed: int) -> None:
    rule = MedianStopping(metric="quality/fd", mode=mode, grace_period=2, min_trials=3)
    theirs = MedianStoppingRule("generation", "value", mode[:3], grace_period=2, min_samples_required=3)
    controller: Any = SimpleNamespace(get_live_trials=list)
    trials: list[Any] = [SimpleNamespace(trial_id=str(trial)) for trial in range(NUM_TRIALS)]
    hashable = [type("Trial", (), {"trial_id": trial.trial_id})() for trial in trials]
    expected: dict[int, int] = {}
    for trial, generation in arrivals(seed):
        if trial not in expected and generation < NUM_GENERATIONS:
            result = {"generation": generation, "value": values(seed)[trial, generation - 1]}
            if theirs.on_trial_result(controller, hashable[trial], result) == TrialScheduler.STOP:
                expected[trial] = generation
        elif trial not in expected:
            theirs.on_trial_complete(
                controller, hashable[trial], {"generation": generation, "value": values(seed)[trial, generation - 1]}
            )
    assert expected
    assert verdicts(rule, values(seed), seed) == expected


def test_rungs_lie_a_factor_apart() -> None:
    rule = Asha(metric="quality/fd", mode="minimise", grace_period=2, reduction_factor=3)
    assert [generation for generation in range(1, 60) if rule.is_rung(generation)] == [2, 6, 18, 54]


def test_the_reason_says_what_would_have_been_good_enough() -> None:
    rule = Asha(metric="quality/fd", mode="minimise", reduction_factor=2)
    others = [{1: 10.0}, {1: 20.0}, {1: 30.0, 2: 3.0}]
    assert rule.reason_to_stop({1: 20.0}, others) is None
    reason = rule.reason_to_stop({1: 20.5}, others)
    assert reason == (
        "quality/fd is 20.5 at generation 1; to be among the best of 2 it must be at most 20 (asha, 3 other trials)"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_stops_a_trial_and_is_no_bar_for_others(value: float) -> None:
    rule = MedianStopping(metric="quality/fd", mode="minimise", min_trials=1)
    assert rule.reason_to_stop({1: value}, []) == f"quality/fd is {value} at generation 1"
    assert rule.reason_to_stop({1: 5.0}, [{1: value}]) is None
    assert rule.reason_to_stop({1: 5.0}, [{1: value}, {1: 4.0}]) is not None


def test_a_rule_that_could_never_stop_anything_is_refused() -> None:
    rule = Asha(metric="quality/fd", mode="minimise", grace_period=4)
    rule.check_request(5)
    with pytest.raises(RequestError, match=r"grace_period is 4 and num_generations is 4, so no trial would ever be"):
        rule.check_request(4)
