"""Feature extractors: where distances, entropy and memorisation are measured."""

from typing import Annotated

from pydantic import Field

from raycollapse.features.base import FeatureExtractor
from raycollapse.features.efficientnet_lite import EfficientNetLite
from raycollapse.features.huggingface import HuggingFace
from raycollapse.features.inception import Inception, InceptionTorchvision
from raycollapse.features.pixels import Identity, Pixels
from raycollapse.schema import Family

AnyExtractor = Annotated[
    Pixels | Identity | HuggingFace | Inception | InceptionTorchvision | EfficientNetLite,
    Field(discriminator="name"),
    Family(FeatureExtractor),
]

__all__ = [
    "AnyExtractor",
    "EfficientNetLite",
    "FeatureExtractor",
    "HuggingFace",
    "Identity",
    "Inception",
    "InceptionTorchvision",
    "Pixels",
]
