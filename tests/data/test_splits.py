"""The split into train and held-out images, and what identifies it."""

import json

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from raycollapse.data import AnyData, DataSource, Digits, Gaussians, Loaded
from raycollapse.errors import RequestError


class Numbered(DataSource):
    """100 vectors that are their own row number."""

    def load(self) -> Loaded:
        rows = np.arange(100)
        return Loaded.of_vectors(rows[:, None].astype(np.float32), rows, "numbered")

    def fingerprint(self) -> str:
        return "100"


def _rows(loaded: Loaded) -> list[int]:
    assert loaded.labels is not None
    assert np.array_equal(loaded.images[:, 0], loaded.labels)  # labels stay with their images
    return [int(row) for row in loaded.labels]


def _numbered(num_train: int, num_held_out: int | None = None) -> Numbered:
    return Numbered(name="numbered", num_train=num_train, num_held_out=num_held_out)


def test_train_and_held_out_are_disjoint_and_have_the_sizes_asked_for() -> None:
    train, held_out = _numbered(30, 50).split(seed=0)
    assert (len(train), len(held_out)) == (30, 50)
    assert len({*_rows(train), *_rows(held_out)}) == 80


def test_as_many_are_held_out_as_trained_on_by_default() -> None:
    assert len(_numbered(30).split(seed=0)[1]) == 30


def test_all_images_can_be_used() -> None:
    train, held_out = _numbered(50).split(seed=0)
    assert sorted(_rows(train) + _rows(held_out)) == list(range(100))


def test_a_smaller_train_set_is_a_prefix_of_a_larger_one() -> None:
    assert _rows(_numbered(20).split(seed=3)[0]) == _rows(_numbered(50).split(seed=3)[0])[:20]


def test_the_seed_alone_decides_the_split() -> None:
    assert _rows(_numbered(50).split(seed=0)[0]) == _rows(_numbered(50).split(seed=0)[0])
    assert _rows(_numbered(50).split(seed=0)[0]) != _rows(_numbered(50).split(seed=1)[0])


def test_every_image_is_as_likely_to_be_trained_on() -> None:
    num_seeds = 400
    counts = np.bincount(np.concatenate([_rows(_numbered(30).split(seed)[0]) for seed in range(num_seeds)]))
    expected, variance = num_seeds * 0.3, num_seeds * 0.3 * 0.7
    # 99 degrees of freedom, negatively correlated counts: mean 100, standard deviation about 14
    assert abs(((counts - expected) ** 2 / variance).sum() - 100) < 5 * 14


def test_too_many_images_asked_for_is_an_error_that_says_how_many_there_are() -> None:
    message = (
        "data.num_train + data.num_held_out is 2,048 but digits has 1,797 images. Lower num_train or set num_held_out."
    )
    with pytest.raises(RequestError) as caught:
        Digits(num_train=1024).split(seed=0)
    assert str(caught.value) == message


def test_too_many_vectors_asked_for_says_which_of_the_two_to_lower() -> None:
    with pytest.raises(
        RequestError, match=r"is 60 but gaussians \(num_points: 50\) has 50 vectors.*lower num_held_out"
    ):
        Gaussians(num_train=20, num_held_out=40, num_points=50).split(seed=0)


@pytest.mark.parametrize("fields", [{"num_train": 0}, {"num_train": -1}, {"num_train": 5, "num_held_out": 0}, {}])
def test_counts_must_be_positive(fields: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="num_"):
        TypeAdapter(AnyData).validate_python({"name": "digits", **fields})


def test_an_unknown_source_lists_those_there_are() -> None:
    with pytest.raises(ValidationError, match="'digits', 'files', 'gaussians'"):
        TypeAdapter(AnyData).validate_python({"name": "imagenet", "num_train": 5})


def test_the_identity_is_json_and_the_same_whether_the_default_is_written_out_or_not() -> None:
    identity = _numbered(30).identity()
    assert identity == _numbered(30, 30).identity() != _numbered(30, 31).identity()
    assert json.loads(json.dumps(identity)) == identity


def test_a_reserve_that_is_too_large_is_told_with_what_may_be_lowered() -> None:
    with pytest.raises(RequestError, match=r"num_fresh is 5,048 but digits has .* num_held_out, or lower num_fresh\."):
        Digits(num_train=24, num_held_out=24, num_fresh=5000).split(0)
