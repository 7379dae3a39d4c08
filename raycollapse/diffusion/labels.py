"""Class labels: what a step of training is told, and of which classes samples are.

Like all draws here they are pure functions of a seed, made on the CPU; see `batches`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raycollapse.diffusion.base import Denoiser
from raycollapse.diffusion.batches import LABELS, branch_seed
from raycollapse.diffusion.conditioning import check_labels
from raycollapse.diffusion.snapshot import read_class_counts
from raycollapse.diffusion.training import Training
from raycollapse.errors import RequestError

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class TrainLabels:
    """The classes of a train set, and how often they are withheld."""

    values: Labels
    """(N,), from 0 to `num_classes` - 1."""
    num_classes: int
    dropout: float
    """Probability, in every step anew, that an image's class is not told."""

    @classmethod
    def of(cls, labels: Labels | None, num: int, denoiser: Denoiser, training: Training) -> "TrainLabels | None":
        """Return the labels of `num` images, checked; none for an unconditional denoiser."""
        if denoiser.num_classes is None:
            return None
        checked = check_labels(labels, denoiser.num_classes)
        if len(checked) != num:
            raise RequestError(f"there are {len(checked)} labels for {num} images. Give one for each.")
        return cls(checked, denoiser.num_classes, training.label_dropout)

    def of_step(self, indices: NDArray[np.int64], seed: int, step: int) -> Tensor:
        """Return the (B,) labels told in a step, the null class `num_classes` in place of those withheld.

        Ho and Salimans 2022, algorithm 1.
        """
        told = torch.from_numpy(self.values[indices])
        generator = torch.Generator().manual_seed(branch_seed(seed, LABELS, step))
        withheld = torch.rand(len(told), generator=generator) < self.dropout
        return told.masked_fill(withheld, self.num_classes)

    def counts(self) -> tuple[int, ...]:
        """Return how many images each class has."""
        return tuple(np.bincount(self.values, minlength=self.num_classes).tolist())


def draw_labels(snapshot_folder: Path, num: int, seed: int) -> Labels | None:
    """Return the (num,) classes of a shard's samples, distributed as in the snapshot's train set; none if it has none.

    Args:
        snapshot_folder: a snapshot.
        num: images in the shard.
        seed: the shard's own.
    """
    counts = read_class_counts(snapshot_folder)
    return None if counts is None else drawn_labels(np.array(counts), num, branch_seed(seed, LABELS))


def drawn_labels(counts: NDArray[np.int64], num: int, seed: int) -> Labels:
    """Return `num` classes in random order, each as often as `num` times its share, rounded up or down at random.

    A systematic sample: every (n / num)-th of the n train images, sorted by class, from a random start. Independent
    draws would let the shares of the classes drift from generation to generation, by chance alone.

    >>> sorted(drawn_labels(np.array([30, 0, 10]), 4, seed=0).tolist())
    [0, 0, 0, 2]
    """
    rng = np.random.default_rng(seed)
    total = int(counts.sum())
    positions = (np.arange(num) * total + rng.integers(total)) // num  # (num,), 0..total - 1
    return rng.permutation(np.searchsorted(np.cumsum(counts), positions, side="right")).astype(np.int64)
