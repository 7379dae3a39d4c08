"""What all extractors have in common."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from raycollapse.errors import RequestError
from raycollapse.features import AnyExtractor, FeatureExtractor, Identity, Pixels

NAMES = ["pixels", "identity", "huggingface", "inception", "inception_torchvision", "efficientnet_lite"]


def _extractor(value: Any) -> FeatureExtractor:
    extractor: FeatureExtractor = TypeAdapter(AnyExtractor).validate_python(value)
    return extractor


def test_importing_and_choosing_an_extractor_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "huggingface_hub", "PIL", "scipy", "torchvision", "sklearn"}
    code = (
        "import sys\nfrom pydantic import TypeAdapter\nfrom raycollapse.features import AnyExtractor\n"
        f"for name in {NAMES}:\n"
        "    extractor = TypeAdapter(AnyExtractor).validate_python(name)\n"
        "    extractor.space, extractor.identity(), extractor.check_shape((4,) if name == 'identity' else (8, 8, 1))\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_bare_name_is_enough_and_the_identity_is_json(name: str) -> None:
    identity = _extractor(name).identity()
    assert identity["name"] == name
    assert json.loads(json.dumps(identity)) == identity


def test_spaces_have_distinct_names() -> None:
    spaces = [_extractor(name).space for name in NAMES]
    assert spaces == ["pixels", "identity", "dinov2", "inception", "inception_torchvision", "efficientnet_lite"]


def test_an_unknown_extractor_lists_those_there_are() -> None:
    with pytest.raises(ValidationError, match="'pixels', 'identity', 'huggingface', 'inception'"):
        _extractor("dino")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "identity"])
def test_vectors_are_no_images(name: str) -> None:
    _extractor(name).check_shape((8, 8, 1))
    with pytest.raises(RequestError, match=rf"features\.name is {name}, but the data are vectors of shape \(2,\)"):
        _extractor(name).check_shape((2,))


def test_images_are_no_vectors() -> None:
    Identity().check_shape((2,))
    with pytest.raises(RequestError, match=r"features\.name is identity, but the data are images"):
        Identity().check_shape((8, 8, 1))


def test_pixels_are_pixels_and_vectors_are_themselves() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    assert np.array_equal(Pixels().extract(images, "cpu"), images.reshape(3, 60).astype(np.float32))
    vectors = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    assert np.array_equal(Identity().extract(vectors, "cpu"), vectors)
