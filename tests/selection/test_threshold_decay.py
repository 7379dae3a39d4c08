"""The Threshold Decay Filter against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from raycollapse.errors import RequestError
from raycollapse.selection import Pool, ThresholdDecay
from raycollapse.selection.greedy import farthest_points
from raycollapse.selection.schedules import Schedule, next_threshold
from raycollapse.selection.threshold_decay import threshold_decay_filter

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def naive(points: Array, num_select: int, order: list[int], tau: float, decay: float) -> tuple[list[int], float, int]:
    """Alg. 2 for points without duplicates: the accepted rows, the last threshold, the number of passes."""
    accepted, passes = [order[0]], 0
    while True:
        passes += 1
        for row in order:
            far = all(np.sqrt(((points[row] - points[other]) ** 2).sum()) > tau for other in accepted)
            if far and len(accepted) < num_select:
                accepted.append(row)
        if len(accepted) == num_select:
            return accepted, tau, passes
        tau *= decay


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0.1, 8.0), st.floats(0.3, 0.97))
def test_it_accepts_what_the_definition_accepts(seed: int, num: int, tau: float, decay: float) -> None:
    rng = np.random.default_rng(seed)
    points, order = rng.normal(size=(num, 3)), rng.permutation(num)
    num_select = int(rng.integers(1, num + 1))
    result = threshold_decay_filter(points, num_select, order, tau, decay)
    accepted, last, passes = naive(points, num_select, order.tolist(), tau, decay)
    assert (result.indices.tolist(), result.num_passes, result.num_filled) == (accepted, passes, 0)
    assert result.final_threshold == pytest.approx(last)


def test_a_distance_equal_to_the_threshold_is_not_enough() -> None:
    result = threshold_decay_filter([[0.0], [1.0], [2.5]], 2, [0, 1, 2], 1.0, 0.5)
    assert result.indices.tolist() == [0, 2]


def test_duplicates_are_filled_in_scan_order_once_nothing_else_is_left() -> None:
    points = np.array([[0.0], [0.0], [0.0], [5.0], [5.0]])
    result = threshold_decay_filter(points, 4, [4, 2, 0, 3, 1], 1.0, 0.5)
    assert result.indices.tolist() == [4, 2, 0, 3] and result.num_filled == 2


def test_a_decay_near_one_approaches_greedy() -> None:
    points = np.random.default_rng(0).normal(size=(80, 2))
    order = np.random.default_rng(1).permutation(80)
    slow = threshold_decay_filter(points, 20, order, 20.0, 0.9999).indices
    assert slow.tolist() == farthest_points(points, 20, int(order[0])).tolist()


@pytest.mark.parametrize("change", [{"threshold": 0.0}, {"decay": 1.0}, {"decay": 0.0}, {"order": [0, 0, 1]}])
def test_what_has_no_meaning_is_refused(change: dict[str, object]) -> None:
    arguments: dict[str, object] = {"order": [0, 1, 2], "threshold": 1.0, "decay": 0.5, **change}
    with pytest.raises(RequestError):
        threshold_decay_filter(np.eye(3), 2, **arguments)  # type: ignore[arg-type]


def test_a_decay_of_one_point_two_is_refused_by_the_configuration() -> None:
    with pytest.raises(ValidationError):
        ThresholdDecay(decay=1.2)


def test_the_automatic_threshold_scales_with_the_features() -> None:
    features = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    sources = np.stack([np.ones(400), np.arange(400)], axis=1).astype(np.int64)
    small, large = (
        ThresholdDecay().select(Pool(sources, features * scale), 200, np.random.default_rng(3)) for scale in (1, 64)
    )
    assert small.tolist() == large.tolist() and len(set(small.tolist())) == 200


def passes(points: Array, num_select: int, order: Array, thresholds: list[float]) -> list[int]:
    """Accept by the definition at given thresholds, vectorised over candidates' distances to what is accepted."""
    accepted = [int(order[0])]
    gap = np.linalg.norm(points - points[accepted[0]], axis=1)
    for tau in thresholds:
        for row in order.tolist():
            if gap[row] > tau and len(accepted) < num_select:
                accepted.append(row)
                gap = np.minimum(gap, np.linalg.norm(points - points[row], axis=1))
    return accepted


@pytest.mark.parametrize("num", [3000, 5000])
def test_large_pools_with_near_duplicates_are_filtered_by_the_definition_too(num: int) -> None:
    rng = np.random.default_rng(num)
    points = (rng.normal(size=(num, 24)) * 0.7 ** np.arange(24)).astype(np.float32)
    points[num // 2 :] = points[: num - num // 2] + 1e-6 * rng.normal(size=(num - num // 2, 24)).astype(np.float32)
    order = rng.permutation(num)
    result = threshold_decay_filter(points, num // 3, order, 2.0, 0.8)
    taus = [2.0 * 0.8**p for p in range(result.num_passes)]
    assert result.indices.tolist() == passes(points.astype(np.float64), num // 3, order, taus)
    assert result.final_threshold == pytest.approx(taus[-1])


def test_cosine_is_euclidean_on_the_unit_sphere_at_a_threshold_of_half_its_square() -> None:
    rng = np.random.default_rng(0)
    points, order = rng.normal(size=(300, 5)), rng.permutation(300)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    on_sphere = threshold_decay_filter(unit, 100, order, 0.8, 0.9)
    cosine = threshold_decay_filter(points, 100, order, 0.8**2 / 2, 0.9**2, metric="cosine")
    assert cosine.indices.tolist() == on_sphere.indices.tolist()
    assert cosine.final_threshold == pytest.approx(on_sphere.final_threshold**2 / 2)


@pytest.mark.parametrize("schedule", ["geometric", "linear", "acceptance"])
def test_a_schedule_decides_the_thresholds_and_the_definition_the_picks(schedule: Schedule) -> None:
    rng = np.random.default_rng(5)
    points, order = rng.normal(size=(200, 3)), rng.permutation(200)
    taus, accepted, missing = [3.0], [int(order[0])], 1.0
    while missing > 0:
        now = passes(points, 80, order, taus)
        missing = 1 - len(now) / 80
        if missing > 0:
            taus.append(next_threshold(schedule, taus[-1], 3.0, 0.9, len(now) - len(accepted), missing))
        accepted = now
    result = threshold_decay_filter(points, 80, order, 3.0, 0.9, schedule=schedule)
    assert result.indices.tolist() == accepted
    assert (result.num_passes, result.final_threshold) == (len(taus), pytest.approx(taus[-1]))


def test_linear_falls_by_equal_steps_to_zero_and_ends_there() -> None:
    taus = [10.0]
    while taus[-1] > 0:
        taus.append(next_threshold("linear", taus[-1], 10.0, 0.75, num_accepted=0, missing=1.0))
    assert taus == [10.0, 7.5, 5.0, 2.5, 0.0]
    result = threshold_decay_filter([[0.0], [1e-3], [2e-3]], 3, [0, 1, 2], 10.0, 0.75, schedule="linear")
    assert result.indices.tolist() == [0, 1, 2] and result.final_threshold == 0.0


def test_acceptance_takes_long_steps_while_nothing_is_accepted_and_short_ones_near_the_goal() -> None:
    steps = [
        next_threshold("acceptance", 1.0, 1.0, 0.9, num_accepted=accepted, missing=missing)
        for accepted, missing in [(0, 1.0), (5, 1.0), (5, 0.5), (5, 0.01)]
    ]
    assert steps == sorted(steps) and steps[0] < 0.9 < steps[-1] < 1.0


def test_a_schedule_at_its_default_leaves_the_keys_of_earlier_stages_as_they_were() -> None:
    assert "schedule" not in ThresholdDecay().identity()
    assert ThresholdDecay(schedule="linear").identity()["schedule"] == "linear"


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(RequestError, match="geometric, linear, acceptance"):
        threshold_decay_filter(np.eye(3), 2, [0, 1, 2], 1.0, 0.5, schedule="cubic")  # type: ignore[arg-type]
