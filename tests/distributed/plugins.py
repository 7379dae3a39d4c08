"""Members of other people's packages, as workers import them by path: most of them are wrong."""

import logging
import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from raycollapse.diffusion import MlpDenoiser
from raycollapse.features import FeatureExtractor
from raycollapse.selection import DistributedGreedy, Pool, SelectionStrategy
from raycollapse.selection.base import TwoRoundStrategy


class Buggy(SelectionStrategy):
    """Raises what is not ours."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        return {}["no such key"]


class Repeating(SelectionStrategy):
    """Returns the same position again and again."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        return np.zeros(num_select, dtype=np.int64)


class Crashing(SelectionStrategy):
    """Takes its process with it, as a fault in a C library does."""

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        os._exit(1)


class Talking(SelectionStrategy):
    """Works, and has something to say."""

    topic: str = "nothing"

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        logging.getLogger("raycollapse.plugins").warning("the pool has %d candidates\nand a second line", len(pool))
        return np.arange(num_select)


class Meeting(SelectionStrategy):
    """Goes on only while the one in the other place, 0 or 1, selects too."""

    folder: str
    place: int

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        Path(self.folder, f"place-{self.place}").touch()
        deadline = time.monotonic() + 120
        while not Path(self.folder, f"place-{1 - self.place}").exists():
            if time.monotonic() > deadline:
                raise TimeoutError("nobody came")
            time.sleep(0.01)
        return np.arange(num_select)


class MeetingGreedy(TwoRoundStrategy):
    """`distributed_greedy`, but a shard's choice ends only when others have been seen to choose elsewhere, or late."""

    meeting: str
    """A folder where each node at work leaves a file."""

    def shortlist(self, shard: Pool, num_pool: int, num_select: int, rng: np.random.Generator) -> Any:
        import ray

        folder, deadline = Path(self.meeting), time.monotonic() + 20
        (folder / ray.get_runtime_context().get_node_id()).touch()
        while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        return DistributedGreedy(num_shards=self.num_shards).shortlist(shard, num_pool, num_select, rng)

    def select(self, pool: Pool, num_select: int, rng: np.random.Generator) -> Any:
        return DistributedGreedy(num_shards=self.num_shards).select(pool, num_select, rng)


@contextmanager
def memory_left(num_bytes: int) -> Iterator[None]:
    """Let this process have so many bytes more than it has, and no more, within the block."""
    had = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (had + num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Hungry(MlpDenoiser):
    """Takes memory for each image that it samples, which has a gigabyte while a file is there, and all else after."""

    name: str = "plugins:Hungry"
    short: str
    """The file."""
    megabytes: int = 150
    """For each image; with that 4 at a time fit, and 8 do not."""

    def build(self, shape: tuple[int, ...]) -> Any:
        import torch

        def take(module: Any, inputs: Any) -> None:
            if not module.training and Path(self.short).exists():
                with memory_left(1_000_000_000):
                    torch.empty(len(inputs[0]), self.megabytes, 1_000_000, dtype=torch.uint8)

        module = super().build(shape)
        module.register_forward_pre_hook(take)
        return module


class HungryFeatures(FeatureExtractor):
    """Takes more memory than there is."""

    @property
    def space(self) -> str:
        return "hungry"

    def extract(self, images: Any, device: str = "cpu") -> Any:
        with memory_left(1_000_000_000):
            return np.ones((len(images), 1_000_000_000), dtype=np.float32)


class Mortal(MlpDenoiser):
    """Its process is killed, while a file is there, in the training step after so many, or when it is sampled from."""

    name: str = "plugins:Mortal"
    file: str
    """Each death leaves a letter in it."""
    num_steps: int | None = None
    """Training steps that it survives; none: it dies of sampling."""

    def build(self, shape: tuple[int, ...]) -> Any:
        taken = 0

        def live(module: Any, inputs: Any) -> None:
            nonlocal taken
            taken += module.training
            is_due = not module.training if self.num_steps is None else taken > self.num_steps
            if is_due and Path(self.file).exists():
                with Path(self.file).open("a") as file:
                    file.write("x")
                os.kill(os.getpid(), signal.SIGKILL)

        module = super().build(shape)
        module.register_forward_pre_hook(live)
        return module
