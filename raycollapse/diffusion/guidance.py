"""The noise that a snapshot predicts in a step of the reverse process, with classifier-free guidance or without."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raycollapse.diffusion.conditioning import check_labels
from raycollapse.diffusion.snapshot import Snapshot
from raycollapse.errors import RequestError


def guided(unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    """Return uncond + w (cond - uncond): w = 1 is the conditional noise (Ho and Salimans 2022, eq. 6, has 1 + w).

    >>> guided(torch.tensor([1.0]), torch.tensor([2.0]), 3.0)
    tensor([4.])
    """
    return unconditional + scale * (conditional - unconditional)


def predicted_noise(snapshot: Snapshot, x: Tensor, t: Tensor, labels: Tensor | None, scale: float) -> Tensor:
    """Return the noise in x, (B, C, H, W) or (B, d), at timesteps t (B,) for classes (B,), or for none.

    Guidance passes each image through the network twice in one batch: without and with its class.
    """
    if labels is None:
        noise: Tensor = snapshot.module(x, t, return_dict=False)[0]
        return noise
    if scale == 1.0:
        noise = snapshot.module(x, t, class_labels=labels, return_dict=False)[0]
        return noise
    assert snapshot.num_classes is not None
    classes = torch.cat([torch.full_like(labels, snapshot.num_classes), labels])
    both = snapshot.module(torch.cat([x, x]), torch.cat([t, t]), class_labels=classes, return_dict=False)[0]
    unconditional, conditional = both.float().chunk(2)
    return guided(unconditional, conditional, scale)


def check_told(num_classes: int | None, scale: float, labels: NDArray[np.int64] | None, num: int) -> None:
    """Raise RequestError unless the labels and the guidance asked for suit a snapshot of so many classes."""
    if num_classes is not None:
        if (found := len(check_labels(labels, num_classes))) != num:
            raise RequestError(f"there are {found} labels for {num} samples. Give one for each.")
    elif labels is not None:
        raise RequestError("labels are given, but the snapshot is not class-conditional. Leave them out.")
    elif scale != 1.0:
        raise RequestError(
            f"sampling.guidance_scale is {scale:g}, but the snapshot is not class-conditional. Leave it out, or train "
            "with denoiser.num_classes and training.label_dropout."
        )
