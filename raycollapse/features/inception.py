"""Inception-v3 spaces: the FID network's, and that of torchvision's weights, which the paper's figures use.

FID: Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, 2017. A Frechet
distance between 2,048 features of the FID network is the standard FID. Its input is resized to 299 x 299 as TensorFlow
1 did (bilinear, not antialiased: torchmetrics calls it `antialias=False`), and scaled to (x - 128) / 128.
"""

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from raycollapse.features.base import FeatureExtractor
from raycollapse.features.batches import check_images, embed_in_batches
from raycollapse.features.resizing import tensorflow_resize
from raycollapse.features.weights import PublishedWeights
from raycollapse.schema import Json

if TYPE_CHECKING:
    from torch import Tensor

    from raycollapse.features.inception_network import InceptionV3, Variant

FID_WEIGHTS = PublishedWeights(
    "the weights of the FID network (Inception-v3 of 2015-12-05, 91 MB)",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "6726825d",
)
TORCHVISION_WEIGHTS = PublishedWeights(
    "torchvision's weights of Inception-v3 (104 MB)",
    "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
    "0cc3c7bd",
)
_SIDE = 299


class InceptionExtractor(FeatureExtractor):
    """What both variants share. The file of weights is one and the same wherever it lies, so it has no identity."""

    variant: ClassVar["Variant"]

    weights: Path | None = None
    """The published file of weights; none: PyTorch's cache of downloads, `~/.cache/torch/hub/checkpoints`, where it is
    downloaded to if it is missing. Another file is refused."""
    batch_size: int = Field(default=64, gt=0)
    """Images at a time; another number changes last bits."""

    @field_validator("weights")
    @classmethod
    def _resolved(cls, weights: Path | None) -> Path | None:
        """Trials may run in other folders, so a path is resolved at once."""
        if weights is None:
            return None
        resolved = weights.expanduser().resolve()
        if not resolved.is_file():
            raise ValueError(f"there is no file {resolved}; leave weights out to use the cache")
        return resolved

    @abstractmethod
    def published(self) -> PublishedWeights:
        """Return which weights these are."""

    @abstractmethod
    def prepared(self, images: "Tensor") -> "Tensor":
        """Return the network's input (n, 3, 299, 299) from images (n, 3, H, W) uint8."""

    @property
    def space(self) -> str:
        return self.name

    def extract(self, images: NDArray[Any], device: str = "cpu") -> NDArray[np.float32]:
        network = _load_network(self.variant, self.published(), self.weights, device)
        return embed_in_batches(images, self.batch_size, device, lambda batch: network(self.prepared(batch)))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        check_images(self.name, shape)

    def check_ready(self) -> None:
        self.published().find(self.weights)

    def identity(self) -> dict[str, Json]:
        own = {field: value for field, value in super().identity().items() if field != "weights"}
        return {**own, "sha256": self.published().sha256_prefix}


class Inception(InceptionExtractor):
    """The FID network: a Frechet distance in this space, and in no other, is the standard FID."""

    name: Literal["inception"] = "inception"
    variant: ClassVar["Variant"] = "fid"

    def published(self) -> PublishedWeights:
        return FID_WEIGHTS

    def preparation(self) -> dict[str, Json]:
        return {
            "resize": [_SIDE, _SIDE],
            "filter": "bilinear of TensorFlow 1",
            "antialias": False,
            "to": [-1.0, 127 / 128],
        }

    def prepared(self, images: "Tensor") -> "Tensor":
        return (tensorflow_resize(images.float(), _SIDE, _SIDE) - 128) / 128


class InceptionTorchvision(InceptionExtractor):
    """Inception-v3 with torchvision's weights, for laying curves over the paper's; its distances are no FID.

    Resized to 299 x 299 (bilinear, centred, not antialiased) and scaled from 0..255 to [-1, 1], as the paper's scripts
    do; no transform of the input inside the network.
    """

    name: Literal["inception_torchvision"] = "inception_torchvision"
    variant: ClassVar["Variant"] = "torchvision"

    def published(self) -> PublishedWeights:
        return TORCHVISION_WEIGHTS

    def preparation(self) -> dict[str, Json]:
        return {"resize": [_SIDE, _SIDE], "filter": "bilinear", "antialias": False, "to": [-1.0, 1.0]}

    def prepared(self, images: "Tensor") -> "Tensor":
        from torch.nn.functional import interpolate

        return interpolate(images / 255, (_SIDE, _SIDE), mode="bilinear", align_corners=False) * 2 - 1


@lru_cache(maxsize=2)
def _load_network(variant: "Variant", published: PublishedWeights, weights: Path | None, device: str) -> "InceptionV3":
    """Return the network without its classifiers, which no feature depends on."""
    from raycollapse.features.inception_network import InceptionV3

    network = InceptionV3(variant)
    state = published.load(weights)
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith(("fc.", "AuxLogits."))})
    return network.to(device).eval().requires_grad_(False)
