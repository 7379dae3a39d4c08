"""One pass at a threshold found by bisection."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raycollapse.errors import RequestError
from raycollapse.selection import AdaptiveThreshold, Pool
from raycollapse.selection.adaptive_threshold import adaptive_threshold

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def one_pass(points: Array, order: list[int], tau: float) -> list[int]:
    """Return all that one scan at a threshold accepts."""
    accepted = [order[0]]
    for row in order[1:]:
        if all(np.linalg.norm(points[row] - points[other]) > tau for other in accepted):
            accepted.append(row)
    return accepted


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.floats(0.001, 0.3))
def test_its_threshold_reaches_the_number_in_one_pass_and_one_a_tolerance_higher_was_seen_not_to(
    seed: int, num: int, tolerance: float
) -> None:
    rng = np.random.default_rng(seed)
    points, order = rng.normal(size=(num, 3)), rng.permutation(num)
    num_select = int(rng.integers(2, num + 1))
    found = adaptive_threshold(points, num_select, order, tolerance)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    assume(not np.isclose(gaps, found.final_threshold, rtol=1e-12).any())  # a tie may go either way
    accepted = one_pass(points, order.tolist(), found.final_threshold)
    assert found.indices.tolist() == accepted[:num_select]
    assert found.num_filled == 0
    # The next higher one tested lies in here; the count may rise again above it, but not everywhere.
    above = np.linspace(1, 1 / (1 - tolerance) + 1e-9, 200)[1:] * found.final_threshold
    edges = np.append(above, np.nextafter(gaps[(gaps > above[0]) & (gaps <= above[-1])], 0))
    assert any(len(one_pass(points, order.tolist(), tau)) < num_select for tau in [*edges, above[-1]])


def test_a_smaller_tolerance_takes_more_passes_to_a_threshold_as_high() -> None:
    points = np.random.default_rng(0).normal(size=(300, 4))
    order = np.random.default_rng(1).permutation(300)
    rough, fine = (adaptive_threshold(points, 100, order, tolerance) for tolerance in (0.2, 0.001))
    assert fine.num_passes > rough.num_passes
    assert fine.final_threshold >= rough.final_threshold


def test_points_on_a_grid_are_selected_one_cell_apart() -> None:
    points = np.arange(100, dtype=np.float64)[:, None]
    found = adaptive_threshold(points, 50, np.arange(100), 0.01)
    assert found.indices.tolist() == list(range(0, 100, 2))
    assert 1 <= found.final_threshold < 2


def test_scaling_the_points_scales_the_threshold_and_turning_them_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    points, order = rng.normal(size=(200, 5)), rng.permutation(200)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    plain, scaled, turned = (adaptive_threshold(p, 60, order, 0.01) for p in (points, points * 8, points @ turn))
    assert plain.indices.tolist() == scaled.indices.tolist() == turned.indices.tolist()
    assert scaled.final_threshold == pytest.approx(8 * plain.final_threshold)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_points_of_any_size_are_told_apart(scale: float) -> None:
    points = np.random.default_rng(0).normal(size=(60, 3)) * scale
    found = adaptive_threshold(points.astype(np.float32), 20, np.arange(60), 0.01)
    assert one_pass(points / scale, list(range(60)), found.final_threshold / scale)[:20] == found.indices.tolist()


def test_cosine_looks_at_directions_only() -> None:
    rng = np.random.default_rng(0)
    points, order = rng.normal(size=(120, 4)), rng.permutation(120)
    lengths = rng.uniform(0.1, 10, (120, 1))
    plain, stretched = (adaptive_threshold(p, 40, order, 0.01, metric="cosine") for p in (points, points * lengths))
    assert plain.indices.tolist() == stretched.indices.tolist()
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    assert one_pass(unit, order.tolist(), np.sqrt(2 * plain.final_threshold))[:40] == plain.indices.tolist()


def test_duplicates_are_filled_in_scan_order_when_no_positive_threshold_suffices() -> None:
    points = np.array([[0.0], [0.0], [0.0], [5.0], [5.0]])
    found = adaptive_threshold(points, 4, [4, 2, 0, 3, 1], 0.01)
    assert (found.indices.tolist(), found.num_filled, found.final_threshold) == ([4, 2, 0, 3], 2, 0.0)


def test_one_point_is_the_first_of_the_order_and_all_are_all() -> None:
    points, order = np.random.default_rng(0).normal(size=(20, 2)), np.random.default_rng(1).permutation(20)
    one = adaptive_threshold(points, 1, order, 0.01)
    assert one.indices.tolist() == [order[0]] and one.final_threshold == np.inf
    assert adaptive_threshold(points, 20, order, 0.01).indices.tolist() == order.tolist()


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -1.0, float("nan")])
def test_a_tolerance_without_meaning_is_refused(tolerance: float) -> None:
    with pytest.raises(RequestError, match="strictly between 0 and 1"):
        adaptive_threshold(np.eye(3), 2, [0, 1, 2], tolerance)


def test_the_strategy_selects_from_a_pool() -> None:
    features = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    sources = np.stack([np.ones(200), np.arange(200)], axis=1).astype(np.int64)
    picks = AdaptiveThreshold().select(Pool(sources, features), 80, np.random.default_rng(3))
    assert len(set(picks.tolist())) == 80
