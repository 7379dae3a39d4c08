"""Data sets of the hub, through `datasets`: here from a folder laid out like one, for no test has a network."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from raycollapse.data import Cifar10, Ffhq, Files, HuggingFace, Loaded, Mnist
from raycollapse.data.hub import HubImages, load_images
from raycollapse.errors import RequestError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 12, 16, 3), dtype=np.uint8)
SaveSet = Callable[..., HubImages]


@pytest.fixture
def save_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SaveSet:
    """Saves columns as Parquet, as the hub does, and says where."""
    datasets = pytest.importorskip("datasets", reason="the package datasets (raycollapse[hub]) is not installed")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()

    def save(split: str = "train", label_column: str | None = None, **columns: Any) -> HubImages:
        kinds = {name: datasets.Image() if name.startswith("im") else None for name in columns}
        pictures = {
            name: [None if image is None else Image.fromarray(image) for image in values] if kinds[name] else values
            for name, values in columns.items()
        }
        table = datasets.Dataset.from_dict(pictures)
        table.to_parquet(tmp_path / "set" / f"{split}.parquet")
        return HubImages(str(tmp_path / "set"), None, split, None, "img", label_column)

    return save


def test_images_and_labels_come_in_the_sets_order(save_set: SaveSet) -> None:
    loaded = load_images(save_set(img=list(IMAGES), label=[3, 1, 2, 0, 0, 1]), None, None)
    assert np.array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None and loaded.labels.tolist() == [3, 1, 2, 0, 0, 1]


def test_class_names_become_their_numbers(save_set: SaveSet, tmp_path: Path) -> None:
    source = save_set(img=list(IMAGES))
    import datasets

    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"img": [Image.fromarray(image) for image in IMAGES[:2]], "label": ["dog", "cat"]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "set" / "train.parquet")
    loaded = load_images(source, None, None)
    assert loaded.labels is not None and loaded.labels.tolist() == [1, 0]


def test_labels_may_be_missing_and_columns_that_are_no_class_numbers_are_not_taken_for_them(save_set: SaveSet) -> None:
    assert load_images(save_set(img=list(IMAGES), label=["a"] * 6, id=list(range(6))), None, None).labels is None


def test_a_column_of_labels_can_be_named(save_set: SaveSet) -> None:
    source = save_set(label_column="kind", img=list(IMAGES), label=[0] * 6, kind=list(range(6)))
    labels = load_images(source, None, None).labels
    assert labels is not None and labels.tolist() == list(range(6))


def test_resizing_is_the_one_of_files(save_set: SaveSet, tmp_path: Path) -> None:
    for row, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"{row}.png")
    expected = Files(path=tmp_path, num_train=1, image_size=8).load()
    assert np.array_equal(load_images(save_set(img=list(IMAGES)), 8, None).images, expected.images)


def test_channels_are_made_alike_where_that_is_asked(save_set: SaveSet) -> None:
    source = save_set(img=[IMAGES[0], IMAGES[1, ..., 0]])
    with pytest.raises(RequestError, match=r"row 0 is RGB but .*row 1 is grayscale"):
        load_images(source, None, None)
    colour, gray = load_images(source, None, 3).images, load_images(source, None, 1).images
    assert np.array_equal(colour[0], IMAGES[0])
    assert np.array_equal(colour[1], IMAGES[1, ..., :1].repeat(3, axis=2))
    assert np.array_equal(gray[0, ..., 0], np.asarray(Image.fromarray(IMAGES[0]).convert("L")))
    assert np.array_equal(gray[1, ..., 0], IMAGES[1, ..., 0])


def test_another_split_holds_other_images(save_set: SaveSet) -> None:
    save_set("train", img=list(IMAGES[:4]))
    assert np.array_equal(load_images(save_set("test", img=list(IMAGES[4:])), None, None).images, IMAGES[4:])


def test_errors_name_the_row_the_column_or_the_split(save_set: SaveSet) -> None:
    source = save_set(img=[IMAGES[0], None], label=[0, 1])
    with pytest.raises(RequestError, match=r"\(split train\), row 1 holds no image"):
        load_images(source, None, None)
    wrong = HubImages(source.dataset, None, "train", None, "image", None)
    with pytest.raises(RequestError, match=r"image_column is 'image', but .* columns img \(Image\), label \(Value\)"):
        load_images(wrong, None, None)
    wrong = HubImages(source.dataset, None, "train", None, "img", "img")
    with pytest.raises(
        RequestError, match=r"label_column is 'img', but .* no such column of integers; it has img, label"
    ):
        load_images(wrong, None, None)
    wrong = HubImages(source.dataset, None, "test", None, "img", None)
    with pytest.raises(RequestError, match='cannot be loaded from the Hugging Face hub: Unknown split "test"'):
        load_images(wrong, None, None)


def test_an_empty_set_is_refused(save_set: SaveSet) -> None:
    source = save_set(img=list(IMAGES))
    import datasets

    empty = datasets.Dataset.from_dict({"img": []}, features=datasets.Features({"img": datasets.Image()}))
    empty.to_parquet(Path(source.dataset) / "train.parquet")
    with pytest.raises(RequestError, match=r"cannot be loaded|no rows"):
        load_images(source, None, None)


@pytest.mark.parametrize(
    ("source", "call"),
    [
        (Cifar10(num_train=5), "datasets.load_dataset('uoft-cs/cifar10', 'plain_text', split='train', revision='0b27"),
        (Mnist(num_train=5, origin="hub"), "datasets.load_dataset('ylecun/mnist', 'mnist', split='train', revision="),
        (Ffhq(num_train=5), "datasets.load_dataset('merkol/ffhq-256', split='train', revision='main')"),
        (
            HuggingFace(num_train=5, dataset="nobody/nothing", revision="v1", hub_split="test"),
            "datasets.load_dataset('nobody/nothing', split='test', revision='v1')",
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_without_a_network_the_error_names_path_and_how_to_fetch_beforehand(source: Any, call: str) -> None:
    pytest.importorskip("datasets", reason="the package datasets (raycollapse[hub]) is not installed")
    with pytest.raises(RequestError) as caught:
        source.load()
    message = str(caught.value)
    assert "set data.path to local files" in message
    assert call in message
    assert "HF_HOME" in message


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RequestError, match=r"`datasets` is not installed .*raycollapse\[hub\].*set data\.path"):
        Cifar10(num_train=5).load()


def test_a_revision_that_can_move_is_warned_of_with_the_commit_it_is_now(
    save_set: SaveSet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import datasets

    table = datasets.load_dataset(save_set(img=list(IMAGES)).dataset, split="train")
    commit = "0123456789" * 4
    monkeypatch.setattr(type(table), "cache_files", [{"filename": f"/cache/x/default/0.0.0/{commit}/x-train.arrow"}])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: table)
    with caplog.at_level(logging.WARNING):
        load_images(HubImages("a/b", None, "train", commit, "img", None), None, None)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        load_images(HubImages("a/b", None, "train", "main", "img", None), None, None)
    assert f"data.revision is main, which can come to mean other images; to pin them write data.revision: {commit}" in (
        caplog.text
    )


def test_the_revision_and_the_split_are_part_of_what_identifies_the_data() -> None:
    base = Cifar10(num_train=5)
    for change in ({"revision": "main"}, {"hub_split": "test"}, {"image_size": 16}):
        changed = Cifar10.model_validate({"num_train": 5, **change})
        assert changed.identity() != base.identity()
    assert Cifar10(num_train=5, revision="main").fingerprint() != base.fingerprint()
    assert Cifar10(num_train=5, hub_split="test").fingerprint() != base.fingerprint()


def test_identifying_a_set_of_the_hub_needs_no_network_and_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "0b2714987fa478483af9968de7c934580d0bb9a2" in str(Cifar10(num_train=5).identity())
    assert Cifar10(num_train=5).shape_hint() == (32, 32, 3)
    assert Ffhq(num_train=5).shape_hint() == (32, 32, 3)
    assert HuggingFace(num_train=5, dataset="a/b", revision="main").shape_hint() is None
    sized = HuggingFace(num_train=5, dataset="a/b", revision="main", image_size=24, channels=1)
    assert sized.shape_hint() == (24, 24, 1)


def test_any_other_set_must_name_its_revision() -> None:
    with pytest.raises(ValidationError, match=r"revision\s+Field required"):
        HuggingFace.model_validate({"num_train": 5, "dataset": "a/b"})


def test_a_loaded_split_is_split_as_any_other_data(save_set: SaveSet, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save_set(img=list(IMAGES), label=[0, 1, 0, 1, 0, 1])
    own = HuggingFace(num_train=2, num_held_out=2, dataset="a/b", revision="x" * 3, image_column="img", balanced=True)
    monkeypatch.setattr(HuggingFace, "hub_images", lambda self: source)
    train, held_out = own.split(seed=0)
    assert isinstance(train, Loaded) and train.labels is not None and held_out.labels is not None
    assert sorted(train.labels.tolist()) == sorted(held_out.labels.tolist()) == [0, 1]
