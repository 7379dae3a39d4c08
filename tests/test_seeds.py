"""The seed tree: distinct branches, and values that never change."""

from itertools import product
from typing import get_args

import numpy as np

from raycollapse.seeds import SeededStage, integer_seed, seed_sequence


def _first_draws(*path: object) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed_sequence(*path)).integers(2**63, size=2).tolist())  # type: ignore[arg-type]


def test_every_seed_generation_stage_and_shard_has_a_stream_of_its_own() -> None:
    paths = list(product((0, 1, 2**40), (0, 1, 2), get_args(SeededStage), (None, 0, 1, 2)))
    assert len({_first_draws(*path) for path in paths}) == len(paths)


def test_the_same_path_gives_the_same_stream() -> None:
    assert _first_draws(7, 3, "sample", 5) == _first_draws(7, 3, "sample", 5)


def test_values_are_stable_from_version_to_version() -> None:
    # A change here would give every stored experiment another result under the same key.
    assert [int(seed_sequence(0, 1, stage).generate_state(1)[0]) for stage in get_args(SeededStage)] == [
        3953331965,
        3613627650,
        1016617948,
        1227846671,
        3017741004,
    ]
    assert integer_seed(seed_sequence(0, 1, "train")) == 1328479793581247105


def test_stages_keep_their_integers_when_others_are_added() -> None:
    expected = {"data": 0, "train": 1, "sample": 2, "select": 3, "measure": 4}
    for stage in get_args(SeededStage):
        assert seed_sequence(5, 2, stage).spawn_key == (2, expected[stage])
        assert seed_sequence(5, 2, stage, 9).spawn_key == (2, expected[stage], 9)


def test_an_integer_seed_fits_a_signed_64_bit_integer() -> None:
    values = [integer_seed(seed_sequence(seed, 0, "train")) for seed in range(1000)]
    assert all(0 <= value < 2**63 for value in values)
    assert len(set(values)) == 1000
    assert max(values) > 2**62  # all 63 bits are used


def test_streams_of_neighbouring_shards_are_uncorrelated() -> None:
    draws = np.stack([np.random.default_rng(seed_sequence(0, 1, "sample", shard)).random(4096) for shard in range(8)])
    correlations = np.asarray(np.corrcoef(draws))[np.triu_indices(8, k=1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(4096)  # five standard errors
