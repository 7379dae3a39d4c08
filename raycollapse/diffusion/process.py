"""The process that trains: its device, its place among the workers, and its random generators."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState

from raycollapse.diffusion.base import Device, Precision
from raycollapse.diffusion.devices import require_device
from raycollapse.errors import RequestError


def new_accelerator(device: Device, precision: Precision) -> Accelerator:
    """Return an Accelerator for exactly this device and precision.

    Its state is a singleton that would keep the precision of an earlier training in this process; and without
    `cpu=True` it does not synchronise CPU workers, silently. Hence the reset, and the check of what came out.
    """
    require_device(device)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=precision)
    effective = (accelerator.device.type, accelerator.mixed_precision)
    if effective != (device, precision):
        raise RequestError(
            f"asked for {device} with precision {precision}, but Accelerate offers {effective[0]} with "
            f"{effective[1]}. Remove ACCELERATE_* variables from the environment."
        )
    return accelerator


def world_size() -> int:
    """Return the number of workers, before Accelerate is asked."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return int(os.environ.get("WORLD_SIZE", "1"))


def worker_rows(batch_size: int, accelerator: Accelerator) -> slice:
    """Return which rows of the global batch are this worker's."""
    size = batch_size // accelerator.num_processes
    return slice(accelerator.process_index * size, (accelerator.process_index + 1) * size)


def seed_module(seed: int, device: torch.device) -> None:
    """Seed what modules draw from: initial weights on the CPU, dropout on the device.

    Not `torch.manual_seed`: until CUDA is initialised it keeps a stack trace of every call.
    """
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


@contextmanager
def own_random_state(device: Device) -> Iterator[None]:
    """Leave the process's random generators as they were."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        yield
