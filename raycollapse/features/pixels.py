"""The plainest spaces: pixel values, and vectors as they are."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError
from raycollapse.features.base import FeatureExtractor


class Pixels(FeatureExtractor):
    """Pixel values 0..255, flattened: the space of the paper's Section 3 (d = H W C)."""

    name: Literal["pixels"] = "pixels"

    @property
    def space(self) -> str:
        return "pixels"

    def extract(self, images: NDArray[Any], device: str = "cpu") -> NDArray[np.float32]:
        return images.reshape(len(images), -1).astype(np.float32)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 3:
            raise RequestError(f"features.name is pixels, but the data are vectors of shape {shape}. Use identity.")


class Identity(FeatureExtractor):
    """Vectors as they are, for modalities other than images."""

    name: Literal["identity"] = "identity"

    @property
    def space(self) -> str:
        return "identity"

    def extract(self, images: NDArray[Any], device: str = "cpu") -> NDArray[np.float32]:
        return images.astype(np.float32)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 1:
            raise RequestError(f"features.name is identity, but the data are images of shape {shape}. Use pixels.")
