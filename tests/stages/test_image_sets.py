"""References to images: prefixes, orders, and what they load, whatever the shards."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from raycollapse.data import Digits, Gaussians
from raycollapse.errors import RequestError
from raycollapse.features import Identity, Pixels
from raycollapse.stages.base import make
from raycollapse.stages.features import FeaturesStage, Shard
from raycollapse.stages.imagesets import ImageSet, TrainSet, pool_of
from raycollapse.stages.real import RealStage
from raycollapse.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def made(stage: RealStage, store: Store, extractor: Any = Pixels()) -> RealStage:  # noqa: B008 (frozen)
    make(stage, store)
    for image_set in (stage.train(), stage.held_out()):
        for shard in image_set.shards:
            make(FeaturesStage(shard, extractor, "cpu", 1), store)
    return stage


@pytest.mark.parametrize("shard_size", [1, 7, 16, 40, 100])
def test_the_real_data_are_the_same_whatever_the_size_of_a_shard(shard_size: int, store: Store) -> None:
    data = Digits(num_train=40, num_held_out=9)
    stage = made(RealStage(data, seed=5, shard_size=shard_size), store)
    train, held_out = data.split(5)
    np.testing.assert_array_equal(stage.train().load(store).images, train.images)
    np.testing.assert_array_equal(stage.train().load(store).labels, train.labels)
    np.testing.assert_array_equal(stage.held_out().load(store).images, held_out.images)
    assert (len(stage.train()), len(stage.held_out())) == (40, 9)
    features = stage.train().features(store, Pixels(), "cpu", 1)
    np.testing.assert_array_equal(features, train.images.reshape(40, -1).astype(np.float32))


def test_vectors_are_their_own_features(store: Store) -> None:
    data = Gaussians(num_train=20, num_held_out=5, num_points=100)
    stage = made(RealStage(data, seed=0, shard_size=8), store, Identity())
    vectors = stage.train().load(store).images
    assert vectors.shape == (20, 2)
    np.testing.assert_array_equal(stage.train().features(store, Identity(), "cpu", 1), vectors)


class Counting(Pixels):
    """Notes the threads that it was given."""

    def extract(self, images: NDArray[Any], device: str = "cpu") -> NDArray[np.float32]:
        import torch

        pools = [pool["num_threads"] for pool in threadpool_info()]
        return np.tile(np.array([torch.get_num_threads(), *pools], np.float32), (len(images), 1))


@pytest.mark.parametrize("threads", [1, 2])
def test_features_are_extracted_with_the_stages_threads_and_no_others(threads: int, store: Store) -> None:
    import torch

    stage, before = RealStage(Digits(num_train=3, num_held_out=1), seed=0, shard_size=8), torch.get_num_threads()
    make(stage, store)
    features = FeaturesStage(stage.train().shards[0], Counting(), "cpu", threads)
    make(features, store)
    assert set(features.load(store).ravel()) == {threads}
    assert torch.get_num_threads() == before


def test_the_first_ones_of_a_set_are_a_prefix_in_no_more_shards_than_they_fill(store: Store) -> None:
    whole = made(RealStage(Digits(num_train=40, num_held_out=1), seed=0, shard_size=16), store).train()
    for num, shards in ((1, 1), (16, 1), (17, 2), (32, 2), (33, 3), (40, 3)):
        first = whole.first(num)
        assert (len(first), len(first.shards)) == (num, shards)
        np.testing.assert_array_equal(first.load(store).images, whole.load(store).images[:num])
        np.testing.assert_array_equal(
            first.features(store, Pixels(), "cpu", 1), whole.features(store, Pixels(), "cpu", 1)[:num]
        )
    with pytest.raises(ValueError, match="41 images asked for, but the set holds 40"):
        whole.first(41)


@given(st.integers(1, 50), st.integers(1, 12), st.data())
def test_taking_the_first_ones_twice_is_taking_the_fewer(num: int, size: int, data: st.DataObject) -> None:
    shards = tuple(Shard("sample", f"{index}", "images.parquet", size) for index in range(-(-num // size)))
    whole = ImageSet(shards, num, 1)
    some = data.draw(st.integers(1, num))
    fewer = data.draw(st.integers(1, some))
    assert whole.first(some).first(fewer) == whole.first(fewer)
    assert whole.first(num) == whole
    assert sum(shard.num for shard in whole.first(fewer).shards) - size < fewer


def test_a_set_that_is_cut_off_has_another_identity_than_the_whole(store: Store) -> None:
    shards = (Shard("sample", "a", "images.parquet", 16),)
    assert ImageSet(shards, 16, 1).identity() != ImageSet(shards, 15, 1).identity()


def test_a_train_set_without_a_selection_is_all_of_its_sources(store: Store) -> None:
    stage = made(RealStage(Digits(num_train=20, num_held_out=5), seed=0, shard_size=8), store)
    train_set = TrainSet((stage.train(), stage.held_out()))
    np.testing.assert_array_equal(train_set.picks(store), np.arange(25))
    both = [stage.train().load(store).images, stage.held_out().load(store).images]
    np.testing.assert_array_equal(train_set.load(store).images, np.concatenate(both))


def test_a_train_set_gathers_picks_in_their_order_with_labels_and_generations(store: Store) -> None:
    stage = made(RealStage(Digits(num_train=20, num_held_out=5), seed=0, shard_size=8), store)
    picks = np.array([24, 3, 21, 0])

    def write(folder: Path) -> dict[str, Any]:
        np.save(folder / "picks.npy", picks)
        return {}

    store.commit("select", "chosen", {}, write)
    later = ImageSet(stage.held_out().shards, 5, generation=1)
    train_set = TrainSet((stage.train(), later), "chosen")
    loaded, real, other = train_set.load(store), stage.train().load(store), later.load(store)
    assert real.labels is not None and other.labels is not None and loaded.labels is not None
    np.testing.assert_array_equal(loaded.images, np.concatenate([real.images, other.images])[picks])
    np.testing.assert_array_equal(loaded.labels, np.concatenate([real.labels, other.labels])[picks])
    points = train_set.points(store, Pixels(), "cpu", 1)
    np.testing.assert_array_equal(points.generations, [1, 0, 1, 0])
    np.testing.assert_array_equal(points.features, loaded.images.reshape(4, -1))


def test_a_pool_names_each_candidates_generation_and_its_index_there() -> None:
    pool = pool_of((ImageSet((), 2, 0), ImageSet((), 3, 4)), lambda: np.zeros((5, 1), np.float32))
    np.testing.assert_array_equal(pool.sources, [[0, 0], [0, 1], [4, 0], [4, 1], [4, 2]])


def test_a_pool_loads_its_features_when_they_are_first_asked_for_and_once() -> None:
    asked = list[int]()

    def features() -> Any:
        asked.append(1)
        return np.zeros((2, 1), np.float32)

    pool = pool_of((ImageSet((), 2, 0),), features)
    assert len(pool) == 2 and asked == []
    assert pool.features is pool.features
    assert asked == [1]


def test_more_images_than_there_are_is_the_requests_mistake_and_leaves_nothing(store: Store) -> None:
    stage = RealStage(Digits(num_train=1000), seed=0, shard_size=256)
    with pytest.raises(
        RequestError, match=r"data\.num_train \+ data\.num_held_out is 2,000 but digits has 1,797 images"
    ):
        make(stage, store)
    assert store.find("real", stage.key) is None
    assert store.files.children(f"stages/real/{stage.key}") == []
