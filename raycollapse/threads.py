"""Threads per process: a field of the configuration, never the machine's default.

Two OpenMP threads on two virtual cores can be tens of times slower than one, and another count changes last bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def limited_threads(num: int) -> Iterator[None]:
    """Run the block with `num` threads in torch, BLAS, OpenMP and faiss; put the earlier setting back afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(num)
    try:
        with threadpool_limits(num):
            yield
    finally:
        torch.set_num_threads(before)
