"""What may take the place of generation 1: images that somebody else's model made."""

from pathlib import Path

from pydantic import Field, field_validator

from raycollapse.data import Files, Loaded
from raycollapse.data.files import resolved_path
from raycollapse.schema import Config, Json


class Start(Config):
    """Synthetic images that are generation 1's samples; the first model trained here is that of generation 2.

    Nobody knows what they were trained on. So generation 1 is measured as if its model had seen the real train set, and
    its real share is not recorded.
    """

    images: Path
    """Whatever `files` reads. What it holds identifies it, not where it lies."""
    image_size: int | None = Field(default=None, gt=0)
    """Crop every image to its centred square and resize it (antialiased Lanczos) to this many pixels a side; none:
    leave the images as they are."""

    @field_validator("images")
    @classmethod
    def _resolved(cls, path: Path) -> Path:
        return resolved_path(path)

    def identity(self) -> dict[str, Json]:
        own = {field: value for field, value in super().identity().items() if field != "images"}
        return {**own, "fingerprint": self._files().fingerprint()}

    def load(self) -> Loaded:
        """Return all the images there are."""
        return self._files().load()

    def _files(self) -> Files:
        return Files(path=self.images, num_train=1, image_size=self.image_size)
