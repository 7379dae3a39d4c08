"""Resizing against Pillow, which it must equal bit for bit, and TensorFlow's bilinear against torch-fidelity's."""

import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from raycollapse.features.resizing import Filter, pillow_resize, pillow_weights, tensorflow_resize

FILTERS: list[Filter] = ["bilinear", "bicubic", "lanczos"]
RNG = np.random.default_rng(0)


def _noise(height: int, width: int, num: int = 5) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, (num, height, width, 3), dtype=np.uint8)


def _pillow(images: NDArray[np.uint8], height: int, width: int, name: Filter) -> NDArray[np.uint8]:
    resample = Image.Resampling[name.upper()]
    return np.stack([np.asarray(Image.fromarray(image).resize((width, height), resample)) for image in images])


def _ours(images: NDArray[np.uint8], height: int, width: int, name: Filter) -> NDArray[np.uint8]:
    return pillow_resize(torch.from_numpy(images).permute(0, 3, 1, 2), height, width, name).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("side", [8, 28, 32, 64, 300])
@pytest.mark.parametrize("target", [20, 32, 224, 256])
def test_it_is_pillow_bit_for_bit(name: Filter, side: int, target: int) -> None:
    images = _noise(side, side)
    assert np.array_equal(_ours(images, target, target, name), _pillow(images, target, target, name))


@pytest.mark.parametrize("name", FILTERS)
def test_sides_of_other_lengths_and_hard_edges_too(name: Filter) -> None:
    wide, edges = _noise(28, 41), np.where(_noise(17, 23) > 127, 255, 0).astype(np.uint8)  # over- and undershoots
    assert np.array_equal(_ours(wide, 256, 374, name), _pillow(wide, 256, 374, name))
    assert np.array_equal(_ours(edges, 64, 9, name), _pillow(edges, 64, 9, name))


def test_one_row_or_one_column_can_be_resized() -> None:
    line = _noise(1, 9)
    assert np.array_equal(_ours(line, 7, 30, "bicubic"), _pillow(line, 7, 30, "bicubic"))


@pytest.mark.parametrize("name", FILTERS)
def test_an_image_of_the_size_asked_for_is_unchanged(name: Filter) -> None:
    images = _noise(32, 32)
    assert np.array_equal(_ours(images, 32, 32, name), images)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_plain_image_stays_plain(name: Filter, level: int) -> None:
    plain = np.full((1, 13, 19, 3), level, np.uint8)
    assert (_ours(plain, 50, 7, name) == level).all()


@pytest.mark.parametrize("name", FILTERS)
def test_weights_of_a_row_sum_to_one_to_within_their_rounding(name: Filter) -> None:
    weights = pillow_weights(300, 224, name)
    assert np.abs(weights.sum(axis=1) / 2**22 - 1).max() < (weights != 0).sum(axis=1).max() / 2**23
    assert np.array_equal(weights, np.rint(weights))


def test_it_does_not_depend_on_how_many_images_there_are() -> None:
    images = _noise(32, 32, num=20)
    assert np.array_equal(_ours(images, 224, 224, "bicubic")[13:14], _ours(images[13:14], 224, 224, "bicubic"))


@pytest.fixture
def fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets modules of torch-fidelity be imported one by one: the package as a whole wants torchvision."""
    spec = find_spec("torch_fidelity")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("the package torch-fidelity is not installed")
    package = ModuleType("torch_fidelity")
    package.__path__ = list(spec.submodule_search_locations)
    monkeypatch.setitem(sys.modules, "torch_fidelity", package)


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 32), (299, 299), (300, 257), (512, 512)])
def test_the_classic_resize_is_torch_fidelitys_bit_for_bit(fidelity: None, size: tuple[int, int]) -> None:
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    images = torch.randint(0, 256, (3, 3, *size), generator=torch.Generator().manual_seed(0)).float()
    expected = interpolate_bilinear_2d_like_tensorflow1x(images, size=(299, 299), align_corners=False)
    assert torch.equal(tensorflow_resize(images, 299, 299), expected)


def test_the_classic_resize_of_a_ramp_reads_the_left_neighbour_and_stops_at_the_last_pixel() -> None:
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    assert tensorflow_resize(ramp, 4, 8)[0, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
