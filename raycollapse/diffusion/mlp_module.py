"""The network behind the `mlp` denoiser."""

import math

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """h + W2 silu(W1 norm(h) + U c), c the condition; W2 starts at zero, so that the block starts as the identity."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, width)
        self.time = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        """Map (B, width) and (B, width) to (B, width)."""
        inner = nn.functional.silu(self.first(self.norm(hidden)) + self.time(condition))
        step: Tensor = self.second(self.dropout(inner))
        return hidden + step


class MlpModel(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers carries no types
    """Residual MLP on flattened data, conditioned on the timestep through sinusoidal features.

    With `num_classes` a learned vector of the class, or of the null class after the last, is added to the timestep's.

    With `skip`, the output is s(t) x_t + F(x_t, t), s starting at 1 and F at 0. Where x_t is nearly pure noise an error
    in the noise is magnified 150 times in x_0, and there x_t itself is the answer, also in tails that training never
    showed (the idea of the preconditioning in Karras et al. 2022, section 5).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 256,
        num_blocks: int = 3,
        dropout: float = 0.0,
        skip: bool = False,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        size = math.prod(shape)
        self.width = width
        self.time_embedding = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.entry = nn.Linear(size, width)
        self.blocks = nn.ModuleList([ResidualBlock(width, dropout) for _ in range(num_blocks)])
        self.norm = nn.LayerNorm(width)
        self.exit = nn.Linear(width, size)
        self.input_scale = _constant_layer(width, 1.0) if skip else None
        if skip:
            nn.init.zeros_(self.exit.weight)
            nn.init.zeros_(self.exit.bias)
        # Made last, so that the other weights start as those of an unconditional network.
        self.class_embedding = None if num_classes is None else nn.Embedding(num_classes + 1, width)

    def forward(
        self, sample: Tensor, timestep: Tensor, class_labels: Tensor | None = None, return_dict: bool = False
    ) -> tuple[Tensor]:
        """Predict the noise in `sample`, (B, C, H, W) or (B, d), at timesteps (B,); always a tuple of one tensor.

        Args:
            sample: noisy images or vectors.
            timestep: of each.
            class_labels: (B,) int64, 0..num_classes, for a class-conditional network.
            return_dict: without effect; diffusers' networks have it.
        """
        features = get_timestep_embedding(timestep, self.width).to(sample.dtype)  # (B, width)
        time_embedding = self.time_embedding(features)
        condition = time_embedding
        if self.class_embedding is not None:
            condition = time_embedding + self.class_embedding(class_labels)  # (B, width)
        x = sample.flatten(1)  # (B, H W C) or (B, d)
        hidden = self.entry(x)
        for block in self.blocks:
            hidden = block(hidden, condition)
        noise: Tensor = self.exit(nn.functional.silu(self.norm(hidden)))
        if self.input_scale is not None:
            noise = noise + self.input_scale(time_embedding) * x
        return (noise.view(sample.shape),)


def _constant_layer(width: int, value: float) -> nn.Linear:
    """Return a layer from (B, width) to (B, 1) that starts at one value everywhere."""
    layer = nn.Linear(width, 1)
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, value)
    return layer
