"""Feature extractors: where distances, entropy and memorisation are measured."""

from typing import Annotated

from pydantic import Field

from raycollapse.features.base import FeatureExtractor
from raycollapse.features.pixels import Identity, Pixels
from raycollapse.schema import Family

AnyExtractor = Annotated[Pixels | Identity, Field(discriminator="name"), Family(FeatureExtractor)]

__all__ = ["AnyExtractor", "FeatureExtractor", "Identity", "Pixels"]
