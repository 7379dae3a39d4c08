"""Models of `transformers`, small and random, against their own processors and their own forward pass."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from raycollapse.errors import RequestError
from raycollapse.features import HuggingFace
from raycollapse.features.vision_models import VisionModel, load_vision_model

Library = Any
SaveModel = Callable[[str], Path]


def _load(folder: Path) -> VisionModel:
    return load_vision_model(str(folder.resolve()), None, "cls", "cpu")


def _processed(library: Library, folder: Path, images: NDArray[np.uint8]) -> torch.Tensor:
    """What the model's own processor makes of images, (n, 3, h, w)."""
    processor = library.AutoImageProcessor.from_pretrained(folder)
    pictures = [Image.fromarray(image.repeat(3 // image.shape[2], axis=2)) for image in images]
    return torch.as_tensor(np.asarray(processor(images=pictures, return_tensors="pt")["pixel_values"]))


def _reference(library: Library, folder: Path, images: NDArray[np.uint8]) -> Any:
    network = library.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return getattr(network, "vision_model", network)(pixel_values=_processed(library, folder, images))


def _sized(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (3, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("name", ["dinov2", "clip_vision", "clip", "vit_classifier", "siglip"])
@pytest.mark.parametrize("shape", [(32, 32, 3), (8, 8, 3), (8, 8, 1), (28, 28, 1), (40, 56, 3), (300, 260, 3)], ids=str)
def test_preprocessing_is_the_processors_to_a_millionth(
    transformers: Library, save_model: SaveModel, name: str, shape: tuple[int, int, int]
) -> None:
    images, folder = _sized(*shape), save_model(name)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    expected = _processed(transformers, folder, images)
    if type(transformers.AutoImageProcessor.from_pretrained(folder)).__name__.endswith("Pil"):
        assert torch.allclose(_load(folder).preprocessing(batch), expected, rtol=0, atol=2e-6)
    else:  # a processor that resizes with torch is itself up to two grey levels from Pillow
        assert (_load(folder).preprocessing(batch) - expected).abs().mean() < 1e-3


@pytest.mark.parametrize("name", ["dinov2", "clip_vision", "clip", "vit_classifier"])
@pytest.mark.parametrize("shape", [(32, 32, 3), (8, 8, 1)], ids=str)
def test_the_cls_token_is_the_first_of_the_last_hidden_state(
    transformers: Library, save_model: SaveModel, name: str, shape: tuple[int, int, int]
) -> None:
    images, folder = _sized(*shape), save_model(name)
    features = HuggingFace(model=str(folder)).extract(images)
    expected = _reference(transformers, folder, images).last_hidden_state[:, 0]
    assert (features.dtype, features.shape) == (np.float32, (3, 32))
    assert np.abs(features - expected.numpy()).max() < 1e-4


def test_mean_pools_the_patches_and_leaves_the_cls_token_out(
    transformers: Library, save_model: SaveModel, noise: NDArray[np.uint8]
) -> None:
    folder = save_model("clip_vision")
    expected = _reference(transformers, folder, noise).last_hidden_state[:, 1:].mean(dim=1)
    assert np.abs(HuggingFace(model=str(folder), pooling="mean").extract(noise) - expected.numpy()).max() < 1e-4


def test_a_model_without_a_cls_token_is_pooled_over_all_its_tokens_and_refuses_cls(
    transformers: Library, save_model: SaveModel, noise: NDArray[np.uint8]
) -> None:
    folder = save_model("siglip")
    output = _reference(transformers, folder, noise)
    mean, pooler = (HuggingFace(model=str(folder), pooling=pooling).extract(noise) for pooling in ("mean", "pooler"))
    assert np.abs(mean - output.last_hidden_state.mean(dim=1).numpy()).max() < 1e-4
    assert np.abs(pooler - output.pooler_output.numpy()).max() < 1e-4
    with pytest.raises(RequestError, match=r"pooling is cls, but .*siglip has no CLS token.*mean or pooler"):
        HuggingFace(model=str(folder)).extract(noise)


def test_normalised_features_have_length_one_and_the_same_direction(
    save_model: SaveModel, noise: NDArray[np.uint8]
) -> None:
    folder = str(save_model("dinov2"))
    plain, unit = HuggingFace(model=folder).extract(noise), HuggingFace(model=folder, normalise=True).extract(noise)
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    assert np.allclose(unit * np.linalg.norm(plain, axis=1, keepdims=True), plain, atol=1e-5)


def test_the_batch_size_changes_no_more_than_last_bits(save_model: SaveModel, noise: NDArray[np.uint8]) -> None:
    folder = str(save_model("dinov2"))
    whole, *parts = (HuggingFace(model=folder, batch_size=size).extract(noise) for size in (64, 1, 3))
    # Sums of up to 588 float32 products a layer, in another order: eps x sqrt(588) = 3e-6 of values of order 1.
    assert all(np.abs(part - whole).max() < 3e-6 * np.abs(whole).max() for part in parts)


def test_the_same_call_gives_the_same_bits(save_model: SaveModel, noise: NDArray[np.uint8]) -> None:
    extractor = HuggingFace(model=str(save_model("dinov2")))
    assert np.array_equal(extractor.extract(noise), extractor.extract(noise))


def test_a_model_is_loaded_once_a_process(save_model: SaveModel) -> None:
    assert _load(save_model("dinov2")) is _load(save_model("dinov2"))


def test_weights_stored_in_half_precision_compute_in_full(
    transformers: Library, save_model: SaveModel, noise: NDArray[np.uint8], tmp_path: Path
) -> None:
    shutil.copytree(save_model("clip_vision"), tmp_path / "half")
    transformers.CLIPVisionModel.from_pretrained(tmp_path / "half").half().save_pretrained(tmp_path / "half")
    assert {parameter.dtype for parameter in _load(tmp_path / "half").network.parameters()} == {torch.float32}
    assert np.isfinite(HuggingFace(model=str(tmp_path / "half")).extract(noise)).all()


def _dinov3(library: Library, folder: Path) -> None:
    """A small DINOv3 with the settings its published models have; its processor exists for torchvision alone."""
    config = library.DINOv3ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        image_size=64, patch_size=16, num_register_tokens=4,
    )  # fmt: skip
    torch.manual_seed(0)
    library.DINOv3ViTModel(config).eval().save_pretrained(folder)
    settings = {
        "image_processor_type": "DINOv3ViTImageProcessorFast", "size": {"height": 64, "width": 64}, "resample": 2,
        "do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "do_center_crop": None,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def test_dinov3_rescales_before_it_resizes_and_has_registers_beside_its_cls_token(
    transformers: Library, noise: NDArray[np.uint8], tmp_path: Path
) -> None:
    if not hasattr(transformers, "DINOv3ViTModel"):
        pytest.skip("this version of transformers has no DINOv3")
    _dinov3(transformers, tmp_path / "dinov3")
    model = _load(tmp_path / "dinov3")
    batch = torch.from_numpy(noise).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(batch / 255, (64, 64), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    assert torch.allclose(model.preprocessing(batch), (resized - mean) / std, atol=1e-5)
    with torch.no_grad():
        tokens = model.network(pixel_values=(resized - mean) / std).last_hidden_state  # CLS, 4 registers, 16 patches
    for pooling, expected in (("cls", tokens[:, 0]), ("mean", tokens[:, 5:].mean(dim=1))):
        features = HuggingFace(model=str(tmp_path / "dinov3"), pooling=pooling).extract(noise)
        assert np.abs(features - expected.numpy()).max() < 1e-4


def test_a_processor_that_does_more_is_refused(save_model: SaveModel, noise: NDArray[np.uint8]) -> None:
    with pytest.raises(RequestError, match=r"ConvNextImageProcessor.* cannot be reproduced in batches"):
        HuggingFace(model=str(save_model("convnext")), pooling="mean").extract(noise)


def test_a_text_model_is_refused(save_model: SaveModel, noise: NDArray[np.uint8]) -> None:
    with pytest.raises(RequestError, match="a BertModel, which does not take images"):
        HuggingFace(model=str(save_model("text"))).extract(noise)


def test_weights_that_are_missing_are_refused_where_they_matter(
    save_model: SaveModel, noise: NDArray[np.uint8], caplog: pytest.LogCaptureFixture
) -> None:
    """A classifier was saved without the pooler that a bare model has: it would stay random."""
    folder = str(save_model("vit_classifier"))
    assert HuggingFace(model=folder, pooling="cls").extract(noise).shape == (7, 32)
    with pytest.raises(RequestError, match=r"lack 2 of the network's arrays, pooler\.dense\.bias among them"):
        HuggingFace(model=folder, pooling="pooler").extract(noise)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_an_incomplete_folder_is_an_error_that_says_what_it_must_hold(
    save_model: SaveModel, noise: NDArray[np.uint8], tmp_path: Path, file: str, damage: str
) -> None:
    shutil.copytree(save_model("dinov2"), tmp_path / "copy")
    if damage == "missing":
        (tmp_path / "copy" / file).unlink()
    else:
        contents = (tmp_path / "copy" / file).read_bytes()
        (tmp_path / "copy" / file).write_bytes(contents[: len(contents) // 2])
    with pytest.raises(RequestError, match=r"cannot be loaded: .*must hold config\.json, preprocessor_config\.json"):
        HuggingFace(model=str(tmp_path / "copy")).extract(noise)


def test_without_a_network_the_error_says_how_to_fetch_the_model_and_where_it_is_cached(
    transformers: Library, noise: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", "/somewhere/else")
    with pytest.raises(RequestError) as caught:
        HuggingFace(model="nobody/nothing", revision="main").extract(noise)
    message = str(caught.value)
    assert (
        "features.model is nobody/nothing, revision main, which cannot be loaded from the Hugging Face hub" in message
    )
    assert "hf download nobody/nothing --revision main" in message
    assert "/somewhere/else/hub" in message
