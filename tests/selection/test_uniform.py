"""The even draw, and the whole pool."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from raycollapse.errors import RequestError
from raycollapse.selection import AnyStrategy, KeepAll, Pool, Uniform
from raycollapse.selection.uniform import even_quotas


def pool_of(*counts):
    sources = np.array([(generation, index) for generation, count in enumerate(counts) for index in range(count)])
    return Pool(sources, np.zeros((len(sources), 1), np.float32))


def drawn(pool, num, seed=0):
    return pool.sources[Uniform().select(pool, num, np.random.default_rng(seed))]


def test_every_source_gives_as_much_and_the_newest_the_remainder():
    generations = drawn(pool_of(50, 50, 50), 50)[:, 0]
    assert np.bincount(generations).tolist() == [16, 17, 17]


def test_only_the_first_n_of_a_source_are_drawn_from():
    sources = drawn(pool_of(10, 100), 10)
    assert sources[:, 1].max() < 10


def test_the_order_of_the_pool_does_not_decide_which_are_first():
    pool = pool_of(0, 30)
    shuffled = Pool(pool.sources[np.random.default_rng(1).permutation(30)], pool.features)
    assert set(drawn(shuffled, 10)[:, 1].tolist()) == set(range(10))


def test_the_draw_depends_on_the_seed_alone():
    pool = pool_of(20, 20)
    np.testing.assert_array_equal(drawn(pool, 20, seed=5), drawn(pool, 20, seed=5))
    assert (drawn(pool, 20, seed=5) != drawn(pool, 20, seed=6)).any()


def test_every_candidate_is_drawn_equally_often():
    pool = pool_of(8, 8)
    counts = np.zeros(16)
    for seed in range(2000):
        counts[Uniform().select(pool, 8, np.random.default_rng(seed))] += 1
    # each of the 16 is drawn with probability 1/2; five standard deviations
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(2000 / 4)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.data())
def test_quotas_are_full_and_as_even_as_the_sources_allow(available, data):
    num = data.draw(st.integers(1, sum(available)))
    quotas = even_quotas(np.array(available), num)
    assert quotas.sum() == num and (quotas <= available).all() and (quotas >= 0).all()
    with_more = quotas[quotas < available]
    assert len(with_more) == 0 or with_more.max() - with_more.min() <= 1
    assert len(with_more) == 0 or quotas.max() <= with_more.max() + 1


def test_a_pool_that_is_too_small_is_refused():
    with pytest.raises(RequestError, match=r"30 samples are to be drawn, but the sources hold \[10, 5\]"):
        drawn(pool_of(10, 5), 30)


def test_uniform_asks_for_no_more_candidates_than_it_draws():
    assert Uniform().num_candidates(512, oversample=2) == 512


def test_keep_all_returns_the_whole_pool_in_random_order():
    chosen = KeepAll().select(pool_of(30), 10, np.random.default_rng(0))
    assert sorted(chosen.tolist()) == list(range(30)) and chosen.tolist() != list(range(30))
    assert KeepAll().num_candidates(512, oversample=2) == 1024


def test_a_strategy_is_read_from_its_name_or_its_fields():
    adapter = TypeAdapter(AnyStrategy)
    assert adapter.validate_python("uniform") == Uniform()
    assert adapter.validate_python({"name": "threshold_decay", "threshold": 60}).decay == 0.95
    with pytest.raises(ValidationError, match="keep_all"):
        adapter.validate_python("unifrom")


@pytest.mark.parametrize("decay", [1.2, 1.0, 0.0, -0.5])
def test_a_decay_outside_zero_to_one_is_refused(decay):
    with pytest.raises(ValidationError, match="decay"):
        TypeAdapter(AnyStrategy).validate_python({"name": "threshold_decay", "decay": decay})
