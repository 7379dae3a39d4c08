"""What class-conditional training and guidance ask of each other and of the data: checked before anything starts."""

import numpy as np
from numpy.typing import NDArray

from raycollapse.diffusion.base import Denoiser
from raycollapse.diffusion.sampling import Sampling
from raycollapse.diffusion.training import Training
from raycollapse.errors import RequestError


def check_conditioning(denoiser: Denoiser, training: Training, sampling: Sampling, num_known: int | None) -> None:
    """Raise RequestError if these settings do not go together.

    Args:
        denoiser: conditional or not.
        training: with or without label dropout.
        sampling: with or without guidance.
        num_known: how many classes the data have, 0 if they have no labels, none if that is not known yet.
    """
    if denoiser.num_classes is None:
        _check_unconditional(training, sampling)
        return
    if num_known == 0:
        raise RequestError(_no_labels(denoiser.num_classes))
    if num_known is not None and num_known != denoiser.num_classes:
        raise RequestError(
            f"denoiser.num_classes is {denoiser.num_classes}, but the data have {num_known} class(es). "
            f"Set it to {num_known}."
        )
    if sampling.guidance_scale != 1.0 and training.label_dropout == 0.0:
        raise RequestError(
            f"sampling.guidance_scale is {sampling.guidance_scale:g}, but training.label_dropout is 0; guidance needs "
            "a network that has also learnt without labels. Set label_dropout to 0.1, or guidance_scale to 1."
        )


def _check_unconditional(training: Training, sampling: Sampling) -> None:
    fields = [
        ("training.label_dropout", training.label_dropout, 0.0),
        ("sampling.guidance_scale", sampling.guidance_scale, 1.0),
    ]
    for field, value, neutral in fields:
        if value != neutral:
            raise RequestError(
                f"{field} is {value:g}, but the denoiser is not class-conditional. Set denoiser.num_classes to the "
                f"number of classes in the data, or {field} to {neutral:g}."
            )


def check_labels(labels: NDArray[np.int64] | None, num_classes: int) -> NDArray[np.int64]:
    """Return the labels, (n,); raise RequestError if there are none, or any is not one of so many classes."""
    if labels is None:
        raise RequestError(_no_labels(num_classes))
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high >= num_classes:
        remedy = "Number the classes from 0" if low < 0 else f"Set it to {high + 1}, or number the classes from 0"
        raise RequestError(
            f"denoiser.num_classes is {num_classes}, but the data have the label {low if low < 0 else high}; labels "
            f"must lie between 0 and {num_classes - 1}. {remedy}."
        )
    return labels


def _no_labels(num_classes: int) -> str:
    return (
        f"denoiser.num_classes is {num_classes}, but the data have no labels. Leave num_classes out, or use data that "
        "have labels."
    )
