"""A residual multilayer perceptron with time embedding, for vectors and tiny images."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from raycollapse.diffusion.base import Denoiser
from raycollapse.errors import RequestError

if TYPE_CHECKING:
    from torch import nn


class MlpDenoiser(Denoiser):
    """Residual blocks on the flattened pixels: learns 8x8 digits in seconds on one CPU core."""

    name: Literal["mlp"] = "mlp"

    width: int = Field(default=256, ge=8, multiple_of=2)
    """Units in every hidden layer; even."""

    num_blocks: int = Field(default=3, ge=1)
    """Residual blocks of two layers each."""

    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Probability of dropping a hidden unit in training."""

    skip: bool | None = None
    """Add the noisy input, scaled by a learned function of the timestep, to the output; by default for vectors only.

    Vectors need it: their x_0 is not clipped, and deterministic samplers otherwise throw one in a hundred far out.
    On 512 digits it halves the Frechet distance, and lowers the generalization score from 353 to 278.
    """

    def build(self, shape: tuple[int, ...]) -> "nn.Module":
        """Return a module over the flattened image, or the vector."""
        from raycollapse.diffusion.mlp_module import MlpModel

        module: nn.Module = MlpModel(
            shape=shape,
            width=self.width,
            num_blocks=self.num_blocks,
            dropout=self.dropout,
            skip=len(shape) == 1 if self.skip is None else self.skip,
            num_classes=self.num_classes,
        )
        return module

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Accept images and vectors of any size."""
        if len(shape) not in (1, 3):
            raise RequestError(f"denoiser mlp takes images (H, W, C) or vectors (d,); the data have shape {shape}.")
