"""Vision models of `transformers` with their image processors: loaded once a process, in float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from raycollapse.errors import RequestError
from raycollapse.features.preprocessing import Preprocessing, preprocessing_of, read_settings
from raycollapse.hub import cache_folder, hub_failures

if TYPE_CHECKING:
    from torch import Tensor

Pooling = Literal["cls", "mean", "pooler"]


@dataclass(frozen=True)
class VisionModel:
    """A network that maps images to features, with all that it wants done to them before."""

    name: str
    network: Any
    preprocessing: Preprocessing

    def embed(self, images: "Tensor", pooling: Pooling) -> "Tensor":
        """Return features (n, d) of images (n, 3, H, W) uint8."""
        pixels = self.preprocessing(images)
        output = self.network(pixel_values=pixels)
        if pooling == "pooler":
            return self._pooler_output(output)
        tokens: Tensor = output.last_hidden_state
        if tokens.ndim == 4:  # (n, d, h, w): a convolutional network
            tokens = tokens.flatten(2).transpose(1, 2)
        num_special = self._num_special(tokens.shape[1], pixels)
        if pooling == "mean":
            return tokens[:, num_special:].mean(dim=1)
        if num_special == 0:
            raise RequestError(
                f"features.pooling is cls, but {self.name} has no CLS token. Set features.pooling to mean or pooler."
            )
        return tokens[:, 0]

    def _pooler_output(self, output: Any) -> "Tensor":
        pooled: Any = getattr(output, "pooler_output", None)
        if pooled is None:
            raise RequestError(
                f"features.pooling is pooler, but {self.name} has no pooler. Set features.pooling to cls or mean."
            )
        flat: Tensor = pooled.flatten(1)  # convolutional networks keep axes of length 1
        return flat

    def _num_special(self, num_tokens: int, pixels: "Tensor") -> int:
        """Return how many tokens, CLS and registers, precede those of the patches."""
        patch = getattr(self.network.config, "patch_size", None)
        if not isinstance(patch, int):
            return 0
        height, width = pixels.shape[-2:]
        return num_tokens - (height // patch) * (width // patch)


@lru_cache(maxsize=2)
def load_vision_model(model: str, revision: str | None, pooling: Pooling, device: str) -> VisionModel:
    """Return a model, from the hub's cache, the hub, or a local folder; RequestError says what is missing."""
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise RequestError(
            f"features.name is huggingface, and the package `transformers` is not installed ({error}). "
            "Install raycollapse[hub]."
        ) from error
    from safetensors import SafetensorError

    failures: tuple[type[Exception], ...] = (*hub_failures(), RuntimeError, SafetensorError)  # other shapes; damage
    try:
        with _quiet():
            preprocessing = load_preprocessing(model, revision)
            network, missing = _load_network(model, revision)
    except RequestError:
        raise
    except failures as error:
        raise RequestError(_unavailable(model, revision, error)) from error
    _check_complete(model, pooling, missing)
    network = _vision_tower(model, network).to(device).eval().requires_grad_(False)
    return VisionModel(model, network, preprocessing)


@lru_cache(maxsize=8)
def load_preprocessing(model: str, revision: str | None) -> Preprocessing:
    """Return what the model's processor does; DINOv3's is only written for torchvision, and is not needed for that."""
    from transformers import AutoImageProcessor
    from transformers.image_processing_base import ImageProcessingMixin

    processors: Any = AutoImageProcessor  # not typed
    try:
        return preprocessing_of(processors.from_pretrained(model, revision=revision), model)
    except (ImportError, ValueError):  # which, depends on the version
        settings: dict[str, Any] = ImageProcessingMixin.get_image_processor_dict(model, revision=revision)[0]
        if settings.get("image_processor_type", "").removesuffix("Fast") != "DINOv3ViTImageProcessor":
            raise
        return replace(read_settings(settings, model), resizes="floats")


def _load_network(model: str, revision: str | None) -> tuple[Any, list[str]]:
    """Return the network, and the names of the arrays that its file lacks."""
    import torch
    from transformers import AutoModel

    models: Any = AutoModel  # not typed
    network, loading = models.from_pretrained(model, revision=revision, dtype=torch.float32, output_loading_info=True)
    return network, list(loading["missing_keys"])


@contextmanager
def _quiet() -> Iterator[None]:
    """No bar and no report while weights are loaded: what is missing is checked, and said, by `_check_complete`."""
    from transformers.utils import logging

    logs: Any = logging  # not typed
    before, had_bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(before)
        if had_bars:
            logs.enable_progress_bar()


def _unavailable(model: str, revision: str | None, error: Exception) -> str:
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    if Path(model).is_absolute():
        return (
            f"features.model is {model}, which cannot be loaded: {reason}. The folder must hold config.json, "
            "preprocessor_config.json and model.safetensors, as a model's save_pretrained and its processor's write "
            "them."
        )
    return (
        f"features.model is {model}, revision {revision}, which cannot be loaded from the Hugging Face hub: {reason}. "
        f"Check the name and the revision. Without a network, fetch it beforehand where there is one: "
        f"hf download {model} --revision {revision}, and have its cache ({cache_folder() / 'hub'}, or where HF_HOME "
        "says) on every machine; or set features.model to a local folder with its files."
    )


def _check_complete(model: str, pooling: Pooling, missing: list[str]) -> None:
    """Weights that a file lacks would be left random, with no more than a warning."""
    needed = sorted(key for key in missing if pooling == "pooler" or "pooler" not in key)
    if needed:
        raise RequestError(
            f"features.model is {model}, whose weights lack {len(needed):,} of the network's arrays, {needed[0]} among "
            "them. Use a model that was saved whole."
        )


def _vision_tower(model: str, network: Any) -> Any:
    """Return the part that sees: of CLIP and its like, which read text too, one of two towers."""
    tower = getattr(network, "vision_model", network)
    if getattr(tower, "main_input_name", "pixel_values") != "pixel_values":
        raise RequestError(
            f"features.model is {model}, a {type(network).__name__}, which does not take images. Use a vision model."
        )
    return tower
