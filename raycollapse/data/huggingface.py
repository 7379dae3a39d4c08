"""Any image data set of the Hugging Face hub."""

from typing import ClassVar, Literal

from pydantic import Field

from raycollapse.data.hub import HubImages
from raycollapse.data.hub_source import HubSource


class HuggingFace(HubSource):
    """Images of any data set of the hub, with labels where it has them."""

    name: Literal["huggingface"] = "huggingface"

    hub_only: ClassVar[frozenset[str]] = HubSource.hub_only | {
        "dataset", "config", "image_column", "label_column", "channels",
    }  # fmt: skip

    dataset: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")
    """The data set's name on the hub, such as `ylecun/mnist`."""
    config: str | None = None
    """Which configuration of it, if it has several."""
    image_column: str = "image"
    """The column that holds the images."""
    label_column: str | None = None
    """The column of class numbers; none: `label` or `labels`, if there is such a column of integers."""
    channels: Literal[1, 3] | None = None
    """Make every image grayscale (1) or RGB (3); none: leave them, in which case all must be of one kind."""

    def hub_images(self) -> HubImages:
        return HubImages(self.dataset, self.config, self.hub_split, self.revision, self.image_column, self.label_column)

    @property
    def _channels(self) -> int | None:
        return self.channels

    def _hub_shape(self, image_size: int | None) -> tuple[int, ...] | None:
        return None if image_size is None or self.channels is None else (image_size, image_size, self.channels)

    def _described(self) -> str:
        return f"{self.dataset} ({self.path or self.hub_split})"
