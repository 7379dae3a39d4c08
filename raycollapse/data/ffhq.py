"""FFHQ: Karras, Laine and Aila, A Style-Based Generator Architecture for GANs, CVPR 2019; CC BY-NC-SA 4.0.

The hub's copy holds all 70,000 faces as PNG of 256 x 256; it has no labels.
"""

from typing import ClassVar, Literal

from pydantic import Field

from raycollapse.data.hub import HubImages
from raycollapse.data.hub_source import HubSource


class Ffhq(HubSource):
    """70,000 photographs of faces, resized to 32 x 32, without labels.

    From the hub, or from local files of any size: set `path`.
    """

    name: Literal["ffhq"] = "ffhq"

    hub_only: ClassVar[frozenset[str]] = HubSource.hub_only | {"dataset"}

    image_size: int = Field(default=32, gt=0)
    """Pixels a side after an antialiased (Lanczos) resize; the paper's 32."""
    dataset: str = Field(default="merkol/ffhq-256", pattern=r"^[\w.-]+/[\w.-]+$")
    """Which of the hub's copies of FFHQ; it must have a column `image`."""
    revision: str = Field(default="main", min_length=1)
    """The hub's revision of the copy. Its default can come to mean other images: the log names the commit to write
    here."""

    def hub_images(self) -> HubImages:
        return HubImages(self.dataset, None, self.hub_split, self.revision, "image", None)

    def num_classes_hint(self) -> int | None:
        return 0 if self.path is None else super().num_classes_hint()

    def _hub_shape(self, image_size: int | None) -> tuple[int, ...]:
        return (self.image_size, self.image_size, 3)
