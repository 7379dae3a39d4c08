"""Greedy within each source, against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycollapse.errors import RequestError
from raycollapse.selection import Greedy, KCenterPerSource, Pool, Uniform
from raycollapse.selection.k_center_per_source import farthest_points_per_source

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def pool_of(points: Array, generations: Array) -> Pool:
    return Pool(np.stack([generations, np.arange(len(points))], axis=1).astype(np.int64), points.astype(np.float32))


def naive(points: Array, generations: Array, num_select: int, seed: int) -> list[int]:
    rng, sources = np.random.default_rng(seed), sorted(set(generations.tolist()))
    members = {source: [row for row in range(len(points)) if generations[row] == source] for source in sources}
    quotas = dict.fromkeys(sources, 0)
    while sum(quotas.values()) < num_select:  # one to each in turn, the newest first
        for source in reversed(sources):
            if quotas[source] < len(members[source]) and sum(quotas.values()) < num_select:
                quotas[source] += 1
    picks: list[int] = []
    for source in (source for source in sources if quotas[source]):
        own = [members[source][int(rng.integers(len(members[source])))]]
        while len(own) < quotas[source]:
            left = [row for row in members[source] if row not in own]
            own.append(max(left, key=lambda row: min(float(((points[row] - points[o]) ** 2).sum()) for o in own)))
        picks += own
    return picks


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 4))
def test_every_source_is_chosen_from_by_the_definition(seed: int, num: int, num_sources: int) -> None:
    rng = np.random.default_rng(seed)
    points, generations = rng.integers(0, 5, (num, 2)).astype(np.float64), rng.integers(0, num_sources, num)
    num_select = int(rng.integers(1, num + 1))
    picks = farthest_points_per_source(points, generations, num_select, np.random.default_rng(seed))
    assert picks.tolist() == naive(points, generations, num_select, seed)


def test_after_the_start_of_a_line_comes_its_farther_end() -> None:
    points, generations = np.tile(np.arange(11.0), 3)[:, None], np.repeat([0, 1, 2], 11)
    for seed in range(5):
        starts, ends = farthest_points_per_source(points, generations, 6, np.random.default_rng(seed)).reshape(3, 2).T
        assert (starts // 11).tolist() == (ends // 11).tolist() == [0, 1, 2]
        assert (ends % 11).tolist() == [10 if start < 5 else 0 for start in (starts % 11).tolist()]


def test_selection_leaves_the_share_of_each_source_as_the_even_draw_has_it() -> None:
    rng = np.random.default_rng(0)
    generations = np.repeat([0, 1, 2], [50, 50, 50])
    pool = pool_of(rng.normal(size=(150, 4)) * np.array([9, 1, 0.1])[generations, None], generations)
    even, greedy, own = (
        np.bincount(pool.sources[strategy.select(pool, 50, np.random.default_rng(1)), 0], minlength=3).tolist()
        for strategy in (Uniform(), Greedy(), KCenterPerSource())
    )
    assert own == even == [16, 17, 17]
    assert greedy[0] > 40  # the sources differ so much that Greedy takes nearly all of one


def test_with_one_source_it_is_greedy() -> None:
    points = np.random.default_rng(0).normal(size=(80, 3))
    for metric in ("l2", "cosine"):
        picks = [
            strategy.select(pool_of(points, np.ones(80)), 30, np.random.default_rng(7)).tolist()
            for strategy in (Greedy(metric=metric), KCenterPerSource(metric=metric))
        ]
        assert picks[0] == picks[1]


def test_a_rotation_a_shift_of_each_source_and_a_scale_change_nothing() -> None:
    rng = np.random.default_rng(0)
    points, generations = rng.normal(size=(200, 6)), rng.integers(0, 3, 200)
    moved = 8.0 * points @ np.linalg.qr(rng.normal(size=(6, 6)))[0] + rng.normal(size=(3, 6))[generations]
    before, after = (
        farthest_points_per_source(p, generations, 90, np.random.default_rng(3)).tolist() for p in (points, moved)
    )
    assert before == after


def test_equal_points_and_edges_of_num_select() -> None:
    ones, generations = np.ones((6, 2)), np.array([0, 1, 0, 1, 0, 1])
    for num_select in (1, 6):
        picks = farthest_points_per_source(ones, generations, num_select, np.random.default_rng(0)).tolist()
        assert len(set(picks)) == num_select
    assert generations[farthest_points_per_source(ones, generations, 1, np.random.default_rng(0))] == [1]


def test_float16_is_chosen_from_as_float32() -> None:
    rng = np.random.default_rng(0)
    half, generations = rng.normal(size=(60, 3)).astype(np.float16), rng.integers(0, 2, 60)
    small, large = (
        farthest_points_per_source(p, generations, 20, np.random.default_rng(1))
        for p in (half, half.astype(np.float32))
    )
    assert small.tolist() == large.tolist()


@pytest.mark.parametrize(
    ("points", "generations", "num_select"),
    [
        (np.ones((3, 2)), [0, 0, 1], 4),
        (np.ones((3, 2)), [0, 0, 1], 0),
        (np.ones((3, 2)), [0, 0], 2),
        (np.ones((3, 2)), [0.0, 0.5, 1.0], 2),
        (np.full((3, 2), np.nan), [0, 0, 1], 2),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(points: Array, generations: list[int], num_select: int) -> None:
    with pytest.raises(RequestError):
        farthest_points_per_source(points, generations, num_select, np.random.default_rng(0))
