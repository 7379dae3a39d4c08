"""CIFAR-10: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009."""

from typing import Literal

from pydantic import Field

from raycollapse.data.hub import HubImages
from raycollapse.data.hub_source import HubSource


class Cifar10(HubSource):
    """50,000 colour photographs of ten classes, 32 x 32 (10,000 more in the split `test`), with labels.

    From the hub, or from local files: set `path`.
    """

    name: Literal["cifar10"] = "cifar10"

    revision: str = Field(default="0b2714987fa478483af9968de7c934580d0bb9a2", min_length=1)
    """The hub's revision of `uoft-cs/cifar10`."""
    balanced: bool = True
    """Draw as many images of every class, to within one; this needs labels. Otherwise all images are equally likely."""

    def hub_images(self) -> HubImages:
        return HubImages("uoft-cs/cifar10", "plain_text", self.hub_split, self.revision, "img", "label")

    def num_classes_hint(self) -> int | None:
        return 10 if self.path is None else super().num_classes_hint()

    def _hub_shape(self, image_size: int | None) -> tuple[int, ...]:
        side = image_size or 32
        return (side, side, 3)
