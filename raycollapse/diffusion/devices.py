"""The device of a process, as both training and sampling see it."""

import torch
from torch import Tensor

from raycollapse.diffusion.base import Device
from raycollapse.errors import RequestError


def require_device(device: Device) -> None:
    """Raise RequestError if this process cannot compute on the device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise RequestError("the device is cuda, but this process sees no GPU. Use cpu, or give it a GPU.")


def device_name(device: Device) -> str | None:
    """Return which GPU model this process computes on; none on a CPU, whose name is the machine's."""
    return torch.cuda.get_device_name() if device == "cuda" else None


def to_device(value: Tensor, device: torch.device) -> Tensor:
    """Copy from the CPU without waiting for the GPU, as a copy from memory that is not pinned would."""
    return value.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else value


def free_unused(device: Device) -> None:
    """Give back to the GPU what torch keeps of it for later, after memory has run out."""
    if device == "cuda":
        torch.cuda.empty_cache()
