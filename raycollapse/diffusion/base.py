"""What every denoiser is, and what both training and sampling say about precision."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from raycollapse.errors import RequestError
from raycollapse.schema import Json, Member

if TYPE_CHECKING:
    from torch import nn

Device = Literal["cpu", "cuda"]
Precision = Annotated[
    Literal["no", "bf16", "fp16"],
    BeforeValidator(lambda value: "no" if value is False else value),  # YAML takes a bare no for false
]


class Denoiser(Member):
    """A network that predicts the noise in a noisy image or vector (epsilon_theta of Ho et al. 2020, eq. 14)."""

    unhashed_at_default: ClassVar[frozenset[str]] = frozenset({"num_classes"})

    num_classes: int | None = Field(default=None, ge=1)
    """Class-conditional: the network is told the class of each image, numbered from 0, one of so many; none: it is not.
    The data must have labels, and the samples have them too."""

    @abstractmethod
    def build(self, shape: tuple[int, ...]) -> "nn.Module":
        """Return a freshly initialised module for data of this shape, (H, W, C) or (d,).

        It is called as `module(x, t, return_dict=False)[0]`, x float (B, C, H, W) in [-1, 1] or (B, d) standardised,
        t (B,) int64, and returns the predicted noise in the shape of x. With `num_classes` it is called with
        `class_labels=` too, (B,) int64, of which `num_classes` itself is the null class: the label is not told.
        """

    def architecture(self) -> dict[str, Json]:
        """Return what describes the network, with what a short name stands for spelled out."""
        fields: dict[str, Json] = self.model_dump(mode="json")
        return fields

    @abstractmethod
    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise RequestError if this network cannot take data of this shape."""


def check_precision(field: str, precision: Precision, device: Device) -> None:
    """Raise RequestError for fp16 on a CPU, where Accelerate would silently compute in float32."""
    if precision == "fp16" and device == "cpu":
        raise RequestError(f"{field} is fp16, but the device is a CPU. Use bf16 or no there, or a GPU.")
