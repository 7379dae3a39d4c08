"""What every selection does with input that is wrong, odd or at the edge: a clear refusal, or the right picks."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from raycollapse.errors import RequestError
from raycollapse.selection.adaptive_threshold import adaptive_threshold
from raycollapse.selection.covariance_matching import match_covariance
from raycollapse.selection.density_top import densest_points
from raycollapse.selection.distributed_greedy import two_round_greedy
from raycollapse.selection.greedy import farthest_points
from raycollapse.selection.k_center_per_source import farthest_points_per_source
from raycollapse.selection.k_means import cluster_representatives
from raycollapse.selection.threshold_decay import auto_threshold, threshold_decay_filter
from raycollapse.selection.uniform import even_quotas

N, D = 24, 3
POINTS = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
Select = Callable[[Any, Any], Any]
"""Of features and num_select, to picks."""

SELECTIONS: dict[str, Select] = {
    "greedy": lambda x, n: farthest_points(x, n, 0),
    "threshold_decay": lambda x, n: threshold_decay_filter(x, n, np.arange(_len(x)), 1.0, 0.9).indices,
    "adaptive_threshold": lambda x, n: adaptive_threshold(x, n, np.arange(_len(x)), 0.01).indices,
    "distributed_greedy": lambda x, n: two_round_greedy(x, n, 0, 1),
    "covariance_matching": lambda x, n: match_covariance(x, n, x),
    "density_top": lambda x, n: densest_points(x, n, 1),
    "k_center_per_source": lambda x, n: farthest_points_per_source(
        x, np.arange(_len(x)) % 2, n, np.random.default_rng(0)
    ),
    "k_means": lambda x, n: cluster_representatives(x, n, np.arange(n)),
}
BY_DISTANCE = {name: select for name, select in SELECTIONS.items() if name != "density_top"}
"""Those that need no other point beside the one to select."""


def _len(x: Any) -> int:
    return len(x) if hasattr(x, "__len__") else 0


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(params=SELECTIONS.values(), ids=list(SELECTIONS))
def select(request: pytest.FixtureRequest) -> Select:
    chosen: Select = request.param
    return chosen


def with_value(value: float) -> Any:
    points = POINTS.copy()
    points[5, 1] = value
    return points


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((0, D)), r"shape \(0, 3\); at least 1"), (np.zeros((N, 0)), r"shape \(24, 0\); at least 1"),
        (POINTS[0], r"shape \(3,\); it must be \(n, d\)"), (POINTS[None], r"shape \(1, 24, 3\); it must be \(n, d\)"),
        (3.0, r"shape \(\); it must be"), (with_value(np.nan), "NaN or infinity in 1 of 24 rows, first in row 5"),
        (with_value(np.inf), "first in row 5"), (with_value(-np.inf), "first in row 5"),
        (POINTS + 1j, "type complex64; real numbers"), (POINTS.astype(str), "real numbers are needed"),
        (POINTS.astype(object), "type object; real numbers"), ([[1.0], [1.0, 2.0]], "rows differ in length"),
        (POINTS.astype(np.float64) * 1e200, "its squares leave"), (POINTS.astype(np.float64) * 1e-200, "its squares"),
    ],
)  # fmt: skip
def test_features_that_are_none_are_refused(select: Select, features: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        select(features, 1)


@pytest.mark.parametrize(
    ("num_select", "message"),
    [
        (0, r"num_select is 0; with 24 candidates it must lie in 1\.\.24"), (-1, "num_select is -1"),
        (N + 1, "num_select is 25"), (2.5, "num_select is 2.5; it must be an integer"), (None, "must be an integer"),
        ("3", "must be an integer"), (True, "num_select is True; it must be an integer"),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_selected_is_refused(select: Select, num_select: Any, message: str) -> None:
    if select is SELECTIONS["k_means"]:
        select = lambda x, n: cluster_representatives(x, n, np.arange(3))  # noqa: E731
    with pytest.raises(RequestError, match=message):
        select(POINTS, num_select)


@pytest.mark.parametrize("kind", [np.int32, np.uint8, np.int64])
def test_numpy_counts_are_counts(select: Select, kind: Any) -> None:
    assert list(select(POINTS, kind(7))) == list(select(POINTS, 7))


@pytest.mark.parametrize("name", BY_DISTANCE)
def test_one_point_is_selected(name: str) -> None:
    assert list(BY_DISTANCE[name](POINTS[:1], 1)) == [0]
    assert list(BY_DISTANCE[name](POINTS[::-1][:1], 1)) == [0]


def test_all_points_are_selected_once(select: Select) -> None:
    assert sorted(select(POINTS, N)) == list(range(N))


@pytest.mark.parametrize("value", [0.0, 1.0, -3e4, 1e30])
def test_of_points_all_equal_as_many_as_are_wanted_are_selected(select: Select, value: float) -> None:
    assert len(set(map(int, select(np.full((N, D), value, np.float32), 9)))) == 9


@pytest.mark.parametrize(
    "same",
    [
        np.asfortranarray, lambda x: np.repeat(x, 2, axis=0)[::2], lambda x: x.tolist(), lambda x: x.astype(">f4"),
        torch.from_numpy, lambda x: torch.from_numpy(x).requires_grad_(), lambda x: np.flip(np.flip(x, 0).copy(), 0),
    ],
    ids=["Fortran", "strided", "lists", "big-endian", "torch", "with gradients", "negative strides"],
)  # fmt: skip
def test_the_layout_of_features_changes_nothing(select: Select, same: Callable[[Any], Any]) -> None:
    rounded = np.round(POINTS * 64) / 64  # so that float32 and the lists' float64 hold the same
    assert list(select(same(rounded), 9)) == list(select(rounded, 9))


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.int16, np.int32, np.int64, np.float64])
def test_other_number_types_are_selected_from_by_their_values(select: Select, kind: Any) -> None:
    whole = np.unique(np.round(POINTS * 20), axis=0)
    assert list(select(whole.astype(kind), 9)) == list(select(whole, 9))


def test_unsigned_features_do_not_wrap_around(select: Select) -> None:
    positive = np.unique(np.round(np.abs(POINTS) * 40), axis=0)
    assert list(select(positive.astype(np.uint8), 9)) == list(select(positive, 9))


@pytest.mark.parametrize("scale", [2.0**-90, 2.0**-60, 2.0**60, 2.0**120])
def test_scale_does_not_change_what_is_farthest(scale: float) -> None:
    scaled = POINTS * np.float32(scale)
    for name in ("greedy", "distributed_greedy", "k_center_per_source", "density_top", "covariance_matching"):
        assert list(SELECTIONS[name](scaled, 9)) == list(SELECTIONS[name](POINTS, 9)), name
    picks = threshold_decay_filter(scaled, 9, np.arange(N), scale, 0.9).indices
    assert list(picks) == list(SELECTIONS["threshold_decay"](POINTS, 9))


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (np.arange(N - 1), r"order has shape \(23,\)"), (np.zeros(N, int), "23 rows are missing"),
        (np.arange(N) + 1, "1 rows are missing"), (np.arange(N) - 1, "no permutation"), (None, "must be a permutation"),
        (np.arange(N, dtype=float), "type float64; it must be a permutation"),
        (np.arange(N)[None], r"shape \(1, 24\)"),
    ],
)  # fmt: skip
def test_an_order_that_is_no_permutation_is_refused(order: Any, message: str) -> None:
    for select in (
        lambda: threshold_decay_filter(POINTS, 3, order, 1.0, 0.9),
        lambda: adaptive_threshold(POINTS, 3, order, 0.01),
        lambda: auto_threshold(POINTS, order, 3),
    ):
        with pytest.raises(RequestError, match=message):
            select()


@pytest.mark.parametrize("change", [list, torch.from_numpy, lambda o: o.astype(np.int16), lambda o: o[::-1][::-1]])
def test_an_order_may_be_any_sequence_of_integers(change: Callable[[Any], Any]) -> None:
    order = np.random.default_rng(1).permutation(N)[::-1]  # of negative stride
    expected = threshold_decay_filter(POINTS, 9, order.copy(), 1.0, 0.9).indices
    given = change(order.copy())
    assert list(threshold_decay_filter(POINTS, 9, given, 1.0, 0.9).indices) == list(expected)
    assert list(threshold_decay_filter(POINTS, 9, order, 1.0, 0.9).indices) == list(expected)


def tdf(**changes: Any) -> Any:
    arguments = {"threshold": 1.0, "decay": 0.9, **changes}
    return threshold_decay_filter(POINTS, 3, np.arange(N), **arguments)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        *[(lambda v=v: tdf(threshold=v), "threshold is .* positive number") for v in (0, -1.0, np.nan, np.inf)],
        *[(lambda v=v: tdf(threshold=v), "threshold is .* must be a number") for v in ("auto", None, True)],
        *[(lambda v=v: tdf(decay=v), "decay is .* strictly between 0 and 1") for v in (0, 1, 1.2, -0.5, np.nan)],
        (lambda: tdf(decay=None), "decay is None; it must be a number"),
        (lambda: tdf(schedule="slow"), "one of geometric"), (lambda: tdf(metric="l1"), "'l2' or 'cosine'"),
        *[(lambda v=v: adaptive_threshold(POINTS, 3, np.arange(N), v), "tolerance is") for v in (0, 1, np.nan, None)],
        *[(lambda v=v: two_round_greedy(POINTS, 3, 0, v), "num_shards is") for v in (0, N + 1, 2.5, None)],
        *[(lambda v=v: two_round_greedy(POINTS, 3, 0, 2, v), "shortlist is") for v in (0.9, np.nan, np.inf, None)],
        *[(lambda v=v: farthest_points(POINTS, 3, v), "first is") for v in (-1, N, 1.0, None)],
        *[(lambda v=v: densest_points(POINTS, 3, v), "k is") for v in (0, N, 1.5, None)],
        *[(lambda v=v: cluster_representatives(POINTS, 3, v), "first") for v in ([0, 0, 1], [0, 1], [0, 1, N], None)],
        *[(lambda v=v: cluster_representatives(POINTS, 3, [0, 1, 2], v), "num_iterations is") for v in (0, 1.5, None)],
        (lambda: match_covariance(POINTS, 3, POINTS[:, :2]), "features has 3 dimensions and reference has 2"),
        (lambda: farthest_points(POINTS, 3, 0, device="abacus"), "device is 'abacus', which torch cannot use here"),
        *[(lambda v=v: even_quotas(np.array([3, 4]), v), "num_select is") for v in (0, 8, 1.5, None)],
        (lambda: farthest_points(np.zeros((N, D)), 3, 0, metric="cosine"), "zero vector in row 0"),
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused(run: Callable[[], Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        run()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(RequestError, match="device is 'cuda'"):
        farthest_points(POINTS, 3, 0, device="cuda")
