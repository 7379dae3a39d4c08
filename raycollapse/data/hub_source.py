"""What the data sets with a name have in common: the hub, or local files in its place."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from raycollapse.data.base import DataSource, Loaded
from raycollapse.data.decoding import resize
from raycollapse.data.files import Files, resolved_path
from raycollapse.data.hub import HubImages, load_images
from raycollapse.schema import Json


class HubSource(DataSource):
    """Images of the Hugging Face hub, which are downloaded once and cached; or local files instead."""

    hub_only: ClassVar[frozenset[str]] = frozenset({"revision", "hub_split"})
    """Fields without a meaning, and so without a place in the identity, where local files are read."""

    path: Path | None = None
    """Read these local files instead of the hub: whatever `files` reads. What they hold identifies them, not where they
    lie."""
    image_size: int | None = Field(default=None, gt=0)
    """Crop every image to its centred square and resize it (antialiased Lanczos) to this many pixels a side; none:
    leave the images as they are."""
    hub_split: str = Field(default="train", min_length=1)
    """The hub's name for the part to use; `train+test` joins two. Held-out images are taken from it too."""
    revision: str = Field(min_length=1)
    """The hub's revision of the data. A commit's hash always means the same images; a branch such as `main` may come to
    mean others, which a store that has the old ones will not notice."""

    @field_validator("path")
    @classmethod
    def _resolved(cls, path: Path | None) -> Path | None:
        return None if path is None else resolved_path(path)

    @abstractmethod
    def hub_images(self) -> HubImages:
        """Return what is read from the hub."""

    def load(self) -> Loaded:
        if self.path is not None:
            return self._local(self.path).load()
        return load_images(self.hub_images(), self.image_size, self._channels)

    def fingerprint(self) -> str:
        if self.path is not None:
            return self._local(self.path).fingerprint()
        images = self.hub_images()
        columns = f"{images.image_column}/{images.label_column or 'auto'}"
        return f"hub {images.dataset}@{images.revision}/{images.config or 'default'}/{images.split}/{columns}"

    def identity(self) -> dict[str, Json]:
        skipped = {"path"} if self.path is None else {"path", *self.hub_only}
        return {field: value for field, value in super().identity().items() if field not in skipped}

    def shape_hint(self) -> tuple[int, ...] | None:
        if self.path is not None:
            return self._local(self.path).shape_hint()
        return self._hub_shape(self.image_size)

    def num_classes_hint(self) -> int | None:
        return None if self.path is None else self._local(self.path).num_classes_hint()

    def _hub_shape(self, image_size: int | None) -> tuple[int, ...] | None:
        """Return (H, W, C) of the hub's images at that size (none: their own), where it is known without them."""
        return None

    @property
    def _channels(self) -> int | None:
        """1 or 3 to make the hub's images grayscale or RGB."""
        return None

    def _local(self, path: Path) -> Files:
        return Files(path=path, num_train=1, image_size=self.image_size)

    def _described(self) -> str:
        return f"{self.name} ({self.path or self.hub_images().split})"


def resized(loaded: Loaded, image_size: int) -> Loaded:
    """Return images cropped and resized to a square."""
    return Loaded(resize(loaded.images, image_size), loaded.labels)
