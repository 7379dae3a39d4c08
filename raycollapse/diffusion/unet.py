"""The UNet of the paper, in its four widths by name, and any other by its fields (diffusers' `UNet2DModel`)."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from raycollapse.diffusion.base import Denoiser
from raycollapse.errors import RequestError
from raycollapse.schema import Json

if TYPE_CHECKING:
    from torch import nn

# Shi et al. 2025 (arXiv 2509.16499), published code: six levels, attention at the fifth.
PAPER_CHANNELS: dict[str, tuple[int, ...]] = {
    "unet32": (32, 32, 64, 64, 128, 128),
    "unet48": (48, 48, 96, 96, 192, 192),
    "unet64": (64, 64, 128, 128, 256, 256),
    "unet128": (128, 128, 256, 256, 512, 512),
}
PAPER_ATTENTION_LEVELS = (5,)
CHANNELS_PER_HEAD = 8


class UNetDenoiser(Denoiser):
    """A convolutional UNet: either `width`, one of the paper's, or `channels` and its companions."""

    name: Literal["unet"] = "unet"

    width: Literal["unet32", "unet48", "unet64", "unet128"] | None = None
    """A width of the paper: six levels, so the image side must be divisible by 32."""

    channels: tuple[int, ...] | None = Field(default=None, min_length=1)
    """Channels of each level, from full resolution down; every level after the first halves the side."""

    layers_per_block: int = Field(default=2, ge=1)
    """Residual layers in each level."""

    attention_levels: tuple[int, ...] = ()
    """Levels with self-attention, counted from 1; the paper's is the fifth. The middle always has it."""

    norm_num_groups: int = Field(default=16, ge=1)
    """Groups of the group normalisation; divides every level's channels."""

    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Probability of dropping an activation in training."""

    @model_validator(mode="after")
    def _check_fields(self) -> "UNetDenoiser":
        if (self.width is None) == (self.channels is None):
            given = "both are given" if self.width else "neither is given"
            raise RequestError(
                f"exactly one of width and channels is needed; {given}. Name a width of the paper "
                f"({', '.join(PAPER_CHANNELS)}), or list the channels of each level, such as [32, 64]."
            )
        if self.width is not None:
            self._check_named()
        else:
            self._check_own()
        return self

    def _check_named(self) -> None:
        fields = ("layers_per_block", "attention_levels", "norm_num_groups")
        changed = [name for name in fields if getattr(self, name) != type(self).model_fields[name].default]
        if changed:
            raise RequestError(
                f"width {self.width} already fixes {', '.join(changed)}. Leave that out, or replace width by "
                f"channels: {list(self.level_channels)}."
            )

    def _check_own(self) -> None:
        levels = self.level_channels
        wrong = [value for value in levels if value < 1 or value % self.norm_num_groups]
        if wrong:
            raise RequestError(
                f"norm_num_groups is {self.norm_num_groups}, which does not divide the channels {wrong}. "
                "Choose multiples of it, or fewer groups."
            )
        beyond = [level for level in self.attention_levels if not 1 <= level <= len(levels)]
        if beyond:
            raise RequestError(
                f"attention_levels has {beyond}; there are {len(levels)} levels, counted from 1 to {len(levels)}."
            )
        attended = {len(levels), *self.attention_levels}
        odd = [levels[level - 1] for level in sorted(attended) if levels[level - 1] % CHANNELS_PER_HEAD]
        if odd:
            raise RequestError(
                f"channels {odd} carry attention (the last level always does) and must be multiples of "
                f"{CHANNELS_PER_HEAD}, the channels of one head."
            )

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Channels of each level, from full resolution down."""
        if self.channels is not None:
            return self.channels
        assert self.width is not None
        return PAPER_CHANNELS[self.width]

    def build(self, shape: tuple[int, ...]) -> "nn.Module":
        """Return a `UNet2DModel` for images of this shape (H, W, C)."""
        from diffusers.models.unets.unet_2d import UNet2DModel

        height, width, num_channels = shape
        unet: nn.Module = UNet2DModel(
            sample_size=(height, width),
            in_channels=num_channels,
            out_channels=num_channels,
            block_out_channels=self.level_channels,
            dropout=self.dropout,
            num_class_embeds=None if self.num_classes is None else self.num_classes + 1,  # the null class comes last
            **self._block_settings(),
        )
        return unet

    def architecture(self) -> dict[str, Json]:
        blocks = {name: list(v) if isinstance(v, tuple) else v for name, v in self._block_settings().items()}
        return {
            **super().architecture(),
            "channels": list(self.level_channels),
            "attention_levels": list(self._attended_levels),
            **blocks,
        }

    @property
    def _attended_levels(self) -> tuple[int, ...]:
        return PAPER_ATTENTION_LEVELS if self.width is not None else self.attention_levels

    def _block_settings(self) -> dict[str, Any]:
        kinds = ["Attn" if level in self._attended_levels else "" for level in range(1, len(self.level_channels) + 1)]
        return {
            "down_block_types": tuple(f"{kind}DownBlock2D" for kind in kinds),
            "up_block_types": tuple(f"{kind}UpBlock2D" for kind in reversed(kinds)),
            "layers_per_block": self.layers_per_block,
            "norm_num_groups": self.norm_num_groups,
            "attention_head_dim": CHANNELS_PER_HEAD,
        }

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse vectors, and sides that cannot be halved once for each level after the first."""
        if len(shape) != 3:
            raise RequestError(f"denoiser.name is unet, but the data are vectors of shape {shape}. Use mlp.")
        height, width, _ = shape
        levels = len(self.level_channels)
        divisor = 2 ** (levels - 1)
        if height % divisor or width % divisor:
            raise RequestError(
                f"the images are {height} x {width}; a UNet of {levels} levels needs sides divisible by {divisor} "
                f"(2^(levels - 1)). Resize or pad the images, or list fewer channels under denoiser.channels "
                f"(at most {_levels_that_fit(height, width)} here)."
            )


def _levels_that_fit(height: int, width: int) -> int:
    """Return how many levels images of these sides allow.

    >>> _levels_that_fit(28, 28), _levels_that_fit(32, 32)
    (3, 6)
    """
    levels = 1
    while height % 2**levels == 0 and width % 2**levels == 0:
        levels += 1
    return levels
