"""The network behind the `mlp` denoiser."""

import math

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """h + W2 silu(W1 norm(h) + U temb); W2 starts at zero, so that the block starts as the identity."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, width)
        self.time = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, hidden: Tensor, time_embedding: Tensor) -> Tensor:
        """Map (B, width) and (B, width) to (B, width)."""
        inner = nn.functional.silu(self.first(self.norm(hidden)) + self.time(time_embedding))
        step: Tensor = self.second(self.dropout(inner))
        return hidden + step


class MlpModel(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers carries no types
    """Residual MLP on flattened data, conditioned on the timestep through sinusoidal features."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, shape: tuple[int, ...], width: int = 256, num_blocks: int = 3, dropout: float = 0.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        size = math.prod(shape)
        self.width = width
        self.time_embedding = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.entry = nn.Linear(size, width)
        self.blocks = nn.ModuleList([ResidualBlock(width, dropout) for _ in range(num_blocks)])
        self.norm = nn.LayerNorm(width)
        self.exit = nn.Linear(width, size)

    def forward(self, sample: Tensor, timestep: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        """Predict the noise in `sample`, (B, C, H, W) or (B, d), at timesteps (B,); always a tuple of one tensor."""
        features = get_timestep_embedding(timestep, self.width).to(sample.dtype)  # (B, width)
        time_embedding = self.time_embedding(features)
        hidden = self.entry(sample.flatten(1))
        for block in self.blocks:
            hidden = block(hidden, time_embedding)
        noise: Tensor = self.exit(nn.functional.silu(self.norm(hidden)))
        return (noise.view(sample.shape),)
