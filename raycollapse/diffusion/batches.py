"""What a training step sees: its images, its timesteps, its noise, each a pure function of (seed, step).

Nothing is carried from step to step, so a resumed training needs no generator states and is bitwise the uninterrupted
one. The draws are those of the whole global batch, of which each worker takes its rows: the number of workers changes
neither the data nor the noise. They are made on the CPU, so they are the same on every GPU model.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raycollapse.diffusion.snapshot import Standardisation
from raycollapse.errors import RequestError
from raycollapse.schema import Json
from raycollapse.seeds import integer_seed

WEIGHTS, ORDER, NOISE, DROPOUT, LABELS = range(5)


def branch_seed(seed: int, *branch: int) -> int:
    """Return the 63-bit seed of a branch below a training's own seed."""
    return integer_seed(np.random.SeedSequence(seed, spawn_key=branch))


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, num_train: int) -> NDArray[np.int64]:
    return np.random.default_rng(branch_seed(seed, ORDER, epoch)).permutation(num_train)


def batch_indices(seed: int, step: int, batch_size: int, num_train: int) -> NDArray[np.int64]:
    """Return the (batch_size,) images of a step: the next ones in a sequence of one permutation per epoch.

    Batches run over the ends of epochs, so every image is seen equally often, whatever the batch size.

    >>> sorted(batch_indices(seed=0, step=0, batch_size=6, num_train=3).tolist())
    [0, 0, 1, 1, 2, 2]
    """
    first, last = step * batch_size, (step + 1) * batch_size
    epochs = range(first // num_train, (last - 1) // num_train + 1)
    orders = [_epoch_order(seed, epoch, num_train) for epoch in epochs]
    start = first - epochs[0] * num_train
    return np.concatenate(orders)[start : start + batch_size]


def noise_and_timesteps(
    seed: int, step: int, shape: tuple[int, ...], num_train_timesteps: int
) -> tuple[Tensor, Tensor]:
    """Return epsilon ~ N(0, I) in the batch's shape (B, ...) and t (B,) uniform over the timesteps, on the CPU."""
    generator = torch.Generator().manual_seed(branch_seed(seed, NOISE, step))
    noise = torch.randn(shape, generator=generator)
    return noise, torch.randint(num_train_timesteps, shape[:1], generator=generator)


@dataclass(frozen=True)
class TrainData:
    """The train set on the device: uint8 (N, C, H, W) or standardised float32 (N, d)."""

    values: Tensor
    standardisation: Standardisation | None

    @classmethod
    def from_array(cls, images: NDArray[np.uint8] | NDArray[np.float32], device: torch.device) -> "TrainData":
        """Take images uint8 (N, H, W, C) or vectors float32 (N, d); raise RequestError for anything else."""
        check_array(images)
        if images.ndim == 4:
            return cls(torch.from_numpy(np.array(images.transpose(0, 3, 1, 2), order="C")).to(device), None)
        vectors = images.astype(np.float32, copy=False)
        standardisation = Standardisation.of(vectors)
        return cls(torch.from_numpy(standardisation.apply(vectors)).to(device), standardisation)

    def gather(self, indices: Tensor) -> Tensor:
        """Return float (B, C, H, W) in [-1, 1], or (B, d), of (B,) indices on the same device."""
        batch = self.values[indices]
        return _scaled(batch) if self.standardisation is None else batch

    @property
    def scaling(self) -> dict[str, Json]:
        """How the network's input follows from the data: which ends of the range become which, or mean and spread."""
        if self.standardisation is not None:
            return {"mean": 0.0, "standard_deviation": 1.0}
        return {"from": [0, 255], "to": _scaled(torch.tensor([0, 255])).tolist()}


def _scaled(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1.0


def check_array(images: NDArray[np.generic]) -> None:
    """Raise RequestError unless this is uint8 (N, H, W, C) or finite float32 (N, d) with N > 0."""
    if (images.ndim, images.dtype) not in ((4, np.dtype(np.uint8)), (2, np.dtype(np.float32))):
        raise RequestError(
            f"the train set is {images.dtype} of shape {images.shape}; it must be uint8 images (N, H, W, C) or "
            "float32 vectors (N, d)."
        )
    if images.size == 0:
        raise RequestError(f"the train set is empty, of shape {images.shape}.")
    if images.ndim == 2 and not np.isfinite(images).all():
        row = int(np.flatnonzero(~np.isfinite(images).all(axis=1))[0])
        raise RequestError(f"the train set holds NaN or infinity, first in vector {row}. Remove such vectors.")
