"""The Threshold Decay Filter against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from raycollapse.errors import RequestError
from raycollapse.selection import Pool, ThresholdDecay
from raycollapse.selection.greedy import farthest_points
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
