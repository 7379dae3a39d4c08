"""Resizing as the reference implementations do it, in batches on tensors, on any device.

Torch's own antialiased resize of uint8 differs from Pillow's by up to two grey levels in up to one pixel in a hundred,
and on processors without AVX2 it goes another way still. Pillow computes in integers: weights times 2^22, a sum, a
rounding shift. In float64 such sums are exact in any order, so two matrix products give Pillow's bits everywhere.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Filter = Literal["bilinear", "bicubic", "lanczos"]

_SUPPORT: dict[Filter, float] = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}  # half width, in input pixels
_UNIT = float(1 << 22)  # an integer weight that stands for 1


def pillow_resize(images: "Tensor", height: int, width: int, filter_name: Filter) -> "Tensor":
    """Return what Pillow's `Image.resize` gives for each image: bit for bit, antialiased.

    Args:
        images: (n, C, H, W) uint8.

    Returns:
        (n, C, height, width) uint8.
    """
    import torch

    if images.device.type == "cpu":  # a few at a time stay in the processor's cache: 2 to 4 times as fast
        return torch.cat([_resized(chunk, height, width, filter_name) for chunk in torch.split(images, 8)])
    return _resized(images, height, width, filter_name)


def _resized(images: "Tensor", height: int, width: int, filter_name: Filter) -> "Tensor":
    import torch

    in_height, in_width = images.shape[-2:]
    pixels = images.to(torch.float64)
    if width != in_width:
        pixels = _rounded(pixels @ _weights(in_width, width, filter_name, pixels.device).T)
    if height != in_height:
        pixels = _rounded(_weights(in_height, height, filter_name, pixels.device) @ pixels)
    return pixels.to(torch.uint8)


def _rounded(sums: "Tensor") -> "Tensor":
    """Return the 8-bit values of fixed-point sums, in place: half is rounded up."""
    return sums.add_(_UNIT / 2).div_(_UNIT).floor_().clamp_(0, 255)


def _weights(num_in: int, num_out: int, filter_name: Filter, device: object) -> "Tensor":
    import torch

    return torch.as_tensor(pillow_weights(num_in, num_out, filter_name), device=str(device))


@lru_cache(maxsize=64)
def pillow_weights(num_in: int, num_out: int, filter_name: Filter) -> NDArray[np.float64]:
    """Return Pillow's integer weights (num_out, num_in) along one axis; each row sums to about 2^22.

    Output pixel i lies at (i + 1/2) num_in / num_out; when shrinking, the filter is widened by the same ratio.
    """
    scale = num_in / num_out
    widening = max(scale, 1.0)
    support = _SUPPORT[filter_name] * widening
    weights = np.zeros((num_out, num_in))
    for row in range(num_out):
        centre = (row + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        last = min(int(centre + support + 0.5), num_in)
        kernel = [_kernel((x - centre + 0.5) * (1.0 / widening), filter_name) for x in range(first, last)]
        total = sum(kernel)  # in this order, as in C: the last bit may decide a rounding
        weights[row, first:last] = [weight / total for weight in kernel]
    scaled = weights * _UNIT
    return np.trunc(np.where(scaled < 0, scaled - 0.5, scaled + 0.5))


def _kernel(x: float, filter_name: Filter) -> float:
    """Return the filter at a distance x, in widened pixels."""
    x = abs(x)
    if x >= _SUPPORT[filter_name]:
        return 0.0
    match filter_name:
        case "bilinear":
            return 1.0 - x
        case "bicubic":
            return _bicubic(x)
        case "lanczos":
            return _sinc(x) * _sinc(x / 3)


def _bicubic(x: float) -> float:
    """Keys's cubic with a = -1/2."""
    a = -0.5
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a


def _sinc(x: float) -> float:
    return 1.0 if x == 0.0 else math.sin(x * math.pi) / (x * math.pi)


def tensorflow_resize(images: "Tensor", height: int, width: int) -> "Tensor":
    """Return the bilinear resize of TensorFlow 1, on which the FID network was fed: output i reads input i H / height.

    Neither antialiased nor centred: "the classic resize".

    Args:
        images: (n, C, H, W) float32.

    Returns:
        (n, C, height, width) float32.
    """
    top, bottom, down = _neighbours(images.shape[-2], height, images)
    left, right, across = _neighbours(images.shape[-1], width, images)
    upper = _between(images[..., top, :][..., left], images[..., top, :][..., right], across)
    lower = _between(images[..., bottom, :][..., left], images[..., bottom, :][..., right], across)
    return _between(upper, lower, down[:, None])


def _neighbours(num_in: int, num_out: int, like: "Tensor") -> tuple["Tensor", "Tensor", "Tensor"]:
    """Return, for each output, the input before it, the one after it, and how far it lies between them, 0..1."""
    import torch

    position = torch.arange(num_out, dtype=torch.float32, device=like.device) * (num_in / num_out)
    before = position.floor()
    after = (before + 1).clamp(max=num_in - 1)
    return before.long(), after.long(), position - before


def _between(first: "Tensor", second: "Tensor", share: "Tensor") -> "Tensor":
    return first + (second - first) * share
