"""Data sources: the real images, or vectors, that a loop starts from."""

from typing import Annotated

from pydantic import Field

from raycollapse.data.base import DataSource, Loaded
from raycollapse.data.digits import Digits
from raycollapse.data.files import Files
from raycollapse.data.gaussians import Gaussians
from raycollapse.schema import Family

AnyData = Annotated[Digits | Files | Gaussians, Field(discriminator="name"), Family(DataSource)]

__all__ = ["AnyData", "DataSource", "Digits", "Files", "Gaussians", "Loaded"]
