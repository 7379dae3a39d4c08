"""Small models with random weights, saved in the form that real ones are published in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

SaveModel = Callable[[str], Path]

_TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_SMALL_VIT = {**_TINY, "image_size": 32, "patch_size": 8}


@pytest.fixture(scope="session")
def transformers() -> Any:
    return pytest.importorskip("transformers", reason="the package transformers (raycollapse[hub]) is not installed")


@pytest.fixture(scope="session")
def save_model(transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> SaveModel:
    """Saves the model of a name with its processor, as `save_pretrained` does; the same folder each time."""
    root = tmp_path_factory.mktemp("models")

    def save(name: str) -> Path:
        import torch

        if not (root / name).exists():
            torch.manual_seed(0)
            network, processor = _BUILD[name](transformers)
            network.eval().save_pretrained(root / name)
            processor.save_pretrained(root / name)
        return root / name

    return save


def _dinov2(library: Any) -> tuple[Any, Any]:
    """As `facebook/dinov2-small`, but smaller inside: 256 by the shorter side, the middle 224, ImageNet's colours."""
    processor = _processor(library, "BitImageProcessor")(
        size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}, resample=3,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    return library.Dinov2Model(library.Dinov2Config(**_TINY, image_size=518, patch_size=14)), processor


def _clip_vision(library: Any) -> tuple[Any, Any]:
    return library.CLIPVisionModel(library.CLIPVisionConfig(**_SMALL_VIT)), _clip_processor(library)


def _clip(library: Any) -> tuple[Any, Any]:
    config = library.CLIPConfig(text_config={**_TINY, "vocab_size": 50}, vision_config=_SMALL_VIT)
    return library.CLIPModel(config), _clip_processor(library)


def _clip_processor(library: Any) -> Any:
    return _processor(library, "CLIPImageProcessor")(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def _vit_classifier(library: Any) -> tuple[Any, Any]:
    processor = _processor(library, "ViTImageProcessor")(size={"height": 32, "width": 32})
    return library.ViTForImageClassification(library.ViTConfig(**_SMALL_VIT)), processor


def _siglip(library: Any) -> tuple[Any, Any]:
    processor = _processor(library, "SiglipImageProcessor")(size={"height": 32, "width": 32})
    return library.SiglipVisionModel(library.SiglipVisionConfig(**_SMALL_VIT)), processor


def _convnext(library: Any) -> tuple[Any, Any]:
    """Its processor crops to a share of what it resized: a step that no other has."""
    network = library.ConvNextModel(library.ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1]))
    return network, _processor(library, "ConvNextImageProcessor")(size={"shortest_edge": 64})


def _text(library: Any) -> tuple[Any, Any]:
    return library.BertModel(library.BertConfig(**_TINY, vocab_size=40)), _clip_processor(library)


def _processor(library: Any, name: str) -> Any:
    """The class that works on Pillow images, whose name depends on the version of transformers."""
    return getattr(library, f"{name}Pil", None) or getattr(library, name)


_BUILD: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "dinov2": _dinov2,
    "clip_vision": _clip_vision,
    "clip": _clip,
    "vit_classifier": _vit_classifier,
    "siglip": _siglip,
    "convnext": _convnext,
    "text": _text,
}


@pytest.fixture
def noise() -> NDArray[np.uint8]:
    """7 RGB images of noise, 32 x 32: the hardest to resize alike."""
    return np.random.default_rng(1).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
