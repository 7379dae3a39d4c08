"""Running a network over many images: in batches of a fixed size, in full float32, on one CPU thread."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from raycollapse.errors import RequestError
from raycollapse.threads import limited_threads

if TYPE_CHECKING:
    from torch import Tensor


def embed_in_batches(
    images: NDArray[Any], batch_size: int, device: str, embed: Callable[["Tensor"], "Tensor"]
) -> NDArray[np.float32]:
    """Return the features of images, (n, d) float32.

    Args:
        images: (n, H, W, C) uint8, C = 1 or 3; grayscale is repeated in three channels.
        batch_size: another size gives other last bits.
        embed: maps a batch (b, 3, H, W) uint8 on the device to (b, d).
    """
    import torch

    batches = []
    with torch.inference_mode(), _reproducible(device):
        for start in range(0, len(images), batch_size):
            # Copied: shards are read-only views of a file
            batch = torch.tensor(images[start : start + batch_size], device=device).permute(0, 3, 1, 2)
            batches.append(embed(batch.expand(-1, 3, -1, -1)).float().cpu().numpy())
    return np.concatenate(batches)


def check_images(name: str, shape: tuple[int, ...]) -> None:
    """Raise RequestError if data of this shape are not images."""
    if len(shape) != 3:
        raise RequestError(f"features.name is {name}, but the data are vectors of shape {shape}. Use identity.")


@contextmanager
def _reproducible(device: str) -> Iterator[None]:
    """No TF32, which would round convolutions on GPUs to 10 bits; no search for algorithms, which may differ."""
    import torch

    with ExitStack() as stack:
        if device == "cpu":
            stack.enter_context(limited_threads(1))  # shards run in parallel instead
        stack.enter_context(
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        )
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        stack.callback(torch.set_float32_matmul_precision, before)
        yield
