"""How many classes a data set has, where that is known before it is loaded."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raycollapse.data import Cifar10, DataSource, Digits, Ffhq, Files, Gaussians, HuggingFace, Mnist


@pytest.mark.parametrize("source", [Digits(num_train=5), Gaussians(num_train=5, num_components=3, num_points=300)])
def test_what_is_known_beforehand_is_what_is_found_on_loading(source: DataSource) -> None:
    labels = source.load().labels
    assert labels is not None
    assert np.unique(labels).tolist() == list(range(source.num_classes_hint() or 0))


def test_the_data_sets_of_the_hub_have_their_classes() -> None:
    assert Mnist(num_train=5).num_classes_hint() == Mnist(num_train=5, origin="hub").num_classes_hint() == 10
    assert Cifar10(num_train=5).num_classes_hint() == 10
    assert Ffhq(num_train=5).num_classes_hint() == 0
    assert HuggingFace(num_train=5, dataset="a/b", revision="main").num_classes_hint() is None


def test_a_folder_of_images_has_no_labels_and_an_archive_may_have(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    np.savez(tmp_path / "b.npz", images=np.zeros((3, 4, 4), np.uint8), labels=np.arange(3))
    for kind in (Files, Mnist, Cifar10, Ffhq):
        assert kind(num_train=1, path=tmp_path).num_classes_hint() == 0
        assert kind(num_train=1, path=tmp_path / "b.npz").num_classes_hint() is None
