"""Class-balanced draws, and the reserve of fresh real images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycollapse.data import DataSource, Digits, Gaussians, Loaded
from raycollapse.data.balance import balanced_order, rarest_class
from raycollapse.errors import RequestError


class Classes(DataSource):
    """120 vectors that are their own row number: 60 of class 7, 40 of class 0, 20 of class 3."""

    def load(self) -> Loaded:
        rows = np.arange(120)
        return Loaded.of_vectors(rows[:, None].astype(np.float32), np.repeat([7, 0, 3], [60, 40, 20]), "classes")

    def fingerprint(self) -> str:
        return "120"


def _classes(num_train: int, num_held_out: int, num_fresh: int = 0, balanced: bool = True) -> Classes:
    return Classes(
        name="classes", num_train=num_train, num_held_out=num_held_out, num_fresh=num_fresh, balanced=balanced
    )


def _rows(loaded: Loaded) -> list[int]:
    return [int(row) for row in loaded.images[:, 0]]


def _counts(loaded: Loaded) -> list[int]:
    assert loaded.labels is not None
    return [int((loaded.labels == label).sum()) for label in (0, 3, 7)]


@pytest.mark.parametrize("num_train", [1, 2, 3, 10, 29, 30])
def test_a_balanced_train_set_has_every_class_as_often_to_within_one(num_train: int) -> None:
    counts = _counts(_classes(num_train, 30).split(seed=1)[0])
    assert sum(counts) == num_train
    assert max(counts) - min(counts) <= 1


def test_a_multiple_of_the_number_of_classes_is_divided_exactly_in_every_part() -> None:
    source = _classes(30, 15, num_fresh=12)
    train, held_out = source.split(seed=0)
    fresh = source.fresh(seed=0, generation=2, num=6)
    assert (_counts(train), _counts(held_out), _counts(fresh)) == ([10] * 3, [5] * 3, [2] * 3)


def test_a_smaller_balanced_train_set_is_a_prefix_of_a_larger_one() -> None:
    assert _rows(_classes(10, 5).split(seed=3)[0]) == _rows(_classes(50, 5).split(seed=3)[0])[:10]


def test_balanced_parts_are_disjoint_and_may_use_all_that_can_be_drawn_evenly() -> None:
    source = _classes(30, 18, num_fresh=12)
    parts = [*source.split(seed=0), source.fresh(seed=0, generation=1, num=12)]
    assert len({row for part in parts for row in _rows(part)}) == 60
    assert [sum(counts) for counts in zip(*map(_counts, parts), strict=True)] == [20, 20, 20]


def test_inside_a_class_every_image_is_as_likely_to_be_trained_on() -> None:
    num_seeds = 400
    rows = np.concatenate([_rows(_classes(15, 3).split(seed)[0]) for seed in range(num_seeds)])
    counts = np.bincount(rows, minlength=120)
    for members in (slice(0, 60), slice(60, 100), slice(100, 120)):
        own = counts[members]
        share = 5 / len(own)
        expected, variance = num_seeds * share, num_seeds * share * (1 - share)
        # chi-squared with n - 1 degrees of freedom, over variances: mean n, standard deviation about sqrt(2 n)
        assert abs(((own - expected) ** 2 / variance).sum() - len(own)) < 5 * np.sqrt(2 * len(own))


def test_more_than_can_be_drawn_evenly_is_an_error_that_names_the_rarest_class() -> None:
    with pytest.raises(RequestError) as caught:
        _classes(40, 21).split(seed=0)
    assert str(caught.value) == (
        "data.balanced is true and data.num_train + data.num_held_out is 61, but classes has only 20 images of class "
        "3: at most 60 can be drawn evenly. Lower num_train or num_held_out, or set data.balanced to false."
    )


def test_without_labels_nothing_can_be_balanced() -> None:
    class Unlabelled(Classes):
        def load(self) -> Loaded:
            return Loaded(super().load().images)

    with pytest.raises(RequestError, match=r"balanced is true, but plain has no labels\. Set data\.balanced to false"):
        Unlabelled(name="plain", num_train=5, balanced=True).split(seed=0)


@settings(deadline=None, max_examples=50)
@given(
    labels=st.lists(st.integers(-2, 3), min_size=1, max_size=60),
    seed=st.integers(0, 1000),
)
def test_every_prefix_is_balanced_until_a_class_is_used_up(labels: list[int], seed: int) -> None:
    own = np.array(labels, np.int64)
    order = balanced_order(own, np.random.default_rng(seed).permutation(len(own)))
    assert sorted(order.tolist()) == list(range(len(own)))
    _, _, most = rarest_class(own)
    for num in range(1, most + 1):
        counts = [int((own[order[:num]] == label).sum()) for label in set(labels)]
        assert max(counts) - min(counts) <= 1


def test_the_default_is_not_balanced_and_has_no_trace_in_the_identity() -> None:
    for source in (Digits(num_train=5), Gaussians(num_train=5)):
        assert not {"balanced", "num_fresh"} & source.identity().keys()
        assert "balanced" not in str(source.fingerprint())
    assert Digits(num_train=5, balanced=True).identity() != Digits(num_train=5).identity()


def test_identities_of_the_first_release_are_as_they_were() -> None:
    """Stages of old stores are found by them."""
    assert Digits(num_train=512).identity() == {
        "name": "digits", "num_train": 512, "num_held_out": 512, "code_version": 1,
        "fingerprint": "scikit-learn digits, version 1",
    }  # fmt: skip
    assert Gaussians(num_train=7, radius=3.0).identity()["fingerprint"] == (
        '{"name": "gaussians", "num_components": 8, "num_points": 131072, "points_seed": 0, "radius": 3.0, "std": 0.1}'
    )


@pytest.mark.parametrize("balanced", [False, True])
def test_each_generation_gets_images_that_nobody_else_has(balanced: bool) -> None:
    source = _classes(20, 10, num_fresh=30, balanced=balanced)
    parts = [*source.split(seed=5), *(source.fresh(seed=5, generation=generation, num=10) for generation in (1, 2, 3))]
    assert [len(part) for part in parts] == [20, 10, 10, 10, 10]
    assert len({row for part in parts for row in _rows(part)}) == 60


def test_a_reserve_changes_neither_the_other_images_nor_the_identity() -> None:
    with_reserve, without = _classes(20, 10, num_fresh=30), _classes(20, 10)
    assert [_rows(part) for part in with_reserve.split(seed=0)] == [_rows(part) for part in without.split(seed=0)]
    assert with_reserve.identity() == without.identity()


def test_a_larger_reserve_gives_earlier_generations_the_same_images() -> None:
    small, large = _classes(20, 10, num_fresh=10), _classes(20, 10, num_fresh=30)
    assert _rows(small.fresh(seed=0, generation=2, num=5)) == _rows(large.fresh(seed=0, generation=2, num=5))


def test_a_reserve_that_is_used_up_is_an_error_that_says_what_is_needed() -> None:
    source = _classes(20, 10, num_fresh=30)
    with pytest.raises(
        RequestError, match=r"num_fresh is 30, but 10 new real images in each generation up to 4 are 40"
    ):
        source.fresh(seed=0, generation=4, num=10)
    with pytest.raises(RequestError, match=r"data\.num_fresh is 0"):
        _classes(20, 10).fresh(seed=0, generation=1, num=1)


def test_a_reserve_that_is_not_there_is_refused_with_the_sum() -> None:
    with pytest.raises(
        RequestError, match=r"num_train \+ data.num_held_out \+ data.num_fresh is 130 but classes has 120"
    ):
        _classes(20, 10, num_fresh=100, balanced=False).split(seed=0)
