"""Data sources: the real images, or vectors, that a loop starts from."""

from typing import Annotated

from pydantic import Field

from raycollapse.data.base import DataSource, Loaded
from raycollapse.data.cifar10 import Cifar10
from raycollapse.data.digits import Digits
from raycollapse.data.ffhq import Ffhq
from raycollapse.data.files import Files
from raycollapse.data.gaussians import Gaussians
from raycollapse.data.huggingface import HuggingFace
from raycollapse.data.mnist import Mnist
from raycollapse.schema import Family

AnyData = Annotated[
    Digits | Files | Gaussians | Mnist | Cifar10 | Ffhq | HuggingFace,
    Field(discriminator="name"),
    Family(DataSource),
]

__all__ = [
    "AnyData",
    "Cifar10",
    "DataSource",
    "Digits",
    "Ffhq",
    "Files",
    "Gaussians",
    "HuggingFace",
    "Loaded",
    "Mnist",
]
