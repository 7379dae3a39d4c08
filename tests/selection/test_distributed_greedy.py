"""Greedy in two rounds, against one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycollapse.errors import RequestError
from raycollapse.selection import DistributedGreedy, Pool
from raycollapse.selection.distributed_greedy import shortlist_size, two_round_greedy
from raycollapse.selection.greedy import farthest_points

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def covering_radius(points: Array, picks: Array) -> float:
    return float(np.linalg.norm(points[:, None] - points[picks][None], axis=2).min(axis=1).max())


def least_distance(points: Array, picks: Array) -> float:
    gaps = np.linalg.norm(points[picks][:, None] - points[picks][None], axis=2)
    return float(gaps[~np.eye(len(picks), dtype=bool)].min())


def naive(points: Array, num: int, first: int) -> list[int]:
    chosen = [first]
    while len(chosen) < num:
        gap = np.linalg.norm(points[:, None] - points[chosen][None], axis=2).min(axis=1)
        gap[chosen] = -1.0
        chosen.append(int(gap.argmax()))
    return chosen


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 5), st.floats(1, 6))
def test_it_is_greedy_among_what_greedy_chose_in_each_shard(seed: int, num: int, shards: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(num, 3))
    num_select, first, shards = int(rng.integers(1, num + 1)), int(rng.integers(num)), min(shards, num)
    union = {first}
    for start in range(shards):
        shard = np.arange(start, num, shards)
        size = min(int(np.ceil(factor * num_select * len(shard) / num)), len(shard), num_select)
        begin = shard.tolist().index(first) if first in shard else 0
        union |= {int(shard[pick]) for pick in naive(points[shard], size, begin)}
    rows = np.array(sorted(union))
    expected = rows[naive(points[rows], num_select, rows.tolist().index(first))]
    assert two_round_greedy(points, num_select, first, shards, factor).tolist() == expected.tolist()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(6, 60), st.integers(2, 6))
def test_with_full_shortlists_the_covering_radius_and_the_least_distance_keep_their_bounds(
    seed: int, num: int, shards: int
) -> None:
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(size=(num // 2, 2)), 20 + 5 * rng.normal(size=(num - num // 2, 2))])
    num_select = int(rng.integers(2, num))
    picks = two_round_greedy(points, num_select, 0, shards, shortlist=shards)
    exact = farthest_points(points, num_select, 0)
    # Greedy itself comes within a factor of 2 of the best.
    assert covering_radius(points, picks) <= 4 * covering_radius(points, exact) + 1e-9
    assert least_distance(points, picks) >= least_distance(points, exact) / 3 - 1e-9


def test_one_shard_is_greedy_itself() -> None:
    points = np.random.default_rng(0).normal(size=(200, 4))
    assert two_round_greedy(points, 60, 5, 1).tolist() == farthest_points(points, 60, 5).tolist()


def test_cosine_looks_at_directions_only() -> None:
    rng = np.random.default_rng(0)
    points, lengths = rng.normal(size=(120, 4)), rng.uniform(0.1, 10, (120, 1))
    picks = [two_round_greedy(p, 30, 0, 4, metric="cosine").tolist() for p in (points, points * lengths)]
    assert picks[0] == picks[1]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.floats(1, 9), st.data())
def test_shards_of_any_sizes_put_forward_as_many_as_are_wanted(
    sizes: list[int], factor: float, data: st.DataObject
) -> None:
    num_select = data.draw(st.integers(1, sum(sizes)))
    assert sum(shortlist_size(size, sum(sizes), num_select, factor) for size in sizes) >= num_select


def test_all_points_equal_can_be_chosen_from() -> None:
    assert len(set(two_round_greedy(np.ones((12, 3)), 7, 2, 3).tolist())) == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_select": 7}, "1..6"), ({"num_shards": 7}, "1..6"), ({"num_shards": 0}, "1..6"), ({"first": 6}, "0..5"),
        ({"shortlist": 0.5}, "at least 1"), ({"metric": "l1"}, "'l2' or 'cosine'"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"num_select": 3, "first": 0, "num_shards": 2, **change}
    with pytest.raises(RequestError, match=message):
        two_round_greedy(np.eye(6), **arguments)  # type: ignore[arg-type]


def test_the_strategy_puts_forward_more_than_its_share_and_selects_among_all_that_was() -> None:
    features = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    pool = Pool(np.stack([np.ones(100), np.arange(100)], axis=1).astype(np.int64), features)
    strategy = DistributedGreedy(num_shards=4)
    forward = strategy.shortlist(pool, 400, 80, np.random.default_rng(0))
    assert len(set(forward.tolist())) == 40
    assert len(set(strategy.select(pool, 80, np.random.default_rng(0)).tolist())) == 80
