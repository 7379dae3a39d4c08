"""A selection in two rounds, as stages."""

from pathlib import Path

import numpy as np
import pytest
from tiny import manifests, run, tiny

from raycollapse.features import Pixels
from raycollapse.selection import DistributedGreedy, Greedy
from raycollapse.stages.features import Shard
from raycollapse.stages.imagesets import ImageSet, features_of
from raycollapse.stages.selecting import SelectStage
from raycollapse.stages.shortlisting import dealt
from raycollapse.store import Store
from raycollapse.trial import real_stage

TWO_ROUNDS = {"name": "distributed_greedy", "num_shards": 3}


def image_set(generation: int, nums: list[int], num: int) -> ImageSet:
    return ImageSet(tuple(Shard("sample", f"{generation}-{i}", "x", n) for i, n in enumerate(nums)), num, generation)


def test_stored_shards_are_dealt_in_turn_so_that_each_source_is_in_every_shard() -> None:
    sources = (image_set(0, [10, 10, 10, 10], 40), image_set(1, [10, 10, 10, 10], 36))
    shards = dealt(sources, 2)
    assert [[(part.generation, len(part)) for part in parts] for parts, _ in shards] == [
        [(0, 10), (0, 10), (1, 10), (1, 10)],
        [(0, 10), (0, 10), (1, 10), (1, 6)],
    ]
    assert [offsets for _, offsets in shards] == [(0, 20, 40, 60), (10, 30, 50, 70)]


def test_no_more_shards_are_dealt_than_are_stored() -> None:
    assert len(dealt((image_set(0, [5, 5], 10),), 8)) == 2


@pytest.mark.parametrize("paradigm", ["replace", "accumulate"])
def test_a_trial_makes_a_shortlist_for_each_shard_and_selects_among_them(tmp_path: Path, paradigm: str) -> None:
    run(tiny(tmp_path, paradigm=paradigm, selection=TWO_ROUNDS))
    made = manifests(tmp_path)
    lists = {key: m for (kind, key), m in made.items() if kind == "shortlist"}
    (select,) = (m for (kind, _), m in made.items() if kind == "select")
    assert len(lists) == 3 and select.facts["num_pool"] == 80
    assert sorted(select.identity["shortlists"]) == sorted(lists)  # type: ignore[arg-type, type-var]
    store = Store(str(tmp_path))
    forward = [np.load(store.folder("shortlist", key) / "picks.npy") for key in lists]
    picks = np.load(store.folder("select", select.key) / "picks.npy")
    assert len(set(np.concatenate(forward).tolist())) == sum(map(len, forward))
    assert set(picks.tolist()) <= set(np.concatenate(forward).tolist()) and len(picks) == 40


def test_features_of_some_rows_are_those_rows_of_all(tmp_path: Path) -> None:
    run(tiny(tmp_path))
    stage = real_stage(tiny(tmp_path))
    sources, store = (stage.held_out(), stage.train()), Store(str(tmp_path))
    whole = features_of(sources, store, Pixels(), "cpu", 1)
    rows = np.array([0, 3, 23, 24, 40, 63])
    np.testing.assert_array_equal(features_of(sources, store, Pixels(), "cpu", 1, rows), whole[rows])


def test_the_same_trial_again_makes_nothing(tmp_path: Path) -> None:
    experiment = tiny(tmp_path, selection=TWO_ROUNDS)
    first = run(experiment)
    before = manifests(tmp_path)
    assert run(experiment) == first and manifests(tmp_path) == before


def test_strategies_of_one_round_keep_their_keys() -> None:
    stage = SelectStage((image_set(1, [5], 5),), Greedy(), Pixels(), 3, 0, 1, "cpu", 1)
    assert "shortlists" not in stage.identity()
    assert DistributedGreedy().identity()["num_shards"] == 8
