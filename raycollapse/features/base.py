"""What every feature extractor is."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raycollapse.schema import Json, Member


class FeatureExtractor(Member):
    """Maps images (n, H, W, C) uint8, or vectors (n, d) float32, to features (n, d) float32."""

    @property
    @abstractmethod
    def space(self) -> str:
        """A short name of the feature space, used as a suffix of metric names."""

    @abstractmethod
    def extract(self, images: NDArray[Any], device: str = "cpu") -> NDArray[np.float32]:
        """Return (n, d) float32 features, computed on `cpu` or `cuda`; row by row, whatever the other rows are."""

    def preparation(self) -> dict[str, Json]:
        """Return what is done to images before the network sees them, its resize above all; nothing, here."""
        return {}

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise RequestError if data of this shape, (H, W, C) or (d,), cannot be embedded."""

    def check_ready(self) -> None:
        """Raise RequestError if what it needs (weights, a package) is neither on this machine nor to be had."""
