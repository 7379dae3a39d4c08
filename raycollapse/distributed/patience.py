"""What follows when a process or node is lost: the work is begun again after a growing pause, while there is progress.

Losing a node is an ordinary event on a spot cluster, however often it happens; a plugin that crashes goes on crashing.
What tells them apart is whether anything was finished in between.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ray.exceptions import RayError, RayTaskError

from raycollapse.errors import StageError

MAX_FRUITLESS = 3
"""Losses in a row with nothing finished in between, after which it is given up."""

LONGEST_PAUSE = 60.0
"""Seconds."""

log = logging.getLogger(__name__)


class LostError(RuntimeError):
    """A process or node was lost that made something: the message says what, and what Ray says of it."""


@contextmanager
def told_as_lost(what: str) -> Iterator[None]:
    """Within the block, raise a LostError in the place of Ray's errors of lost processes and nodes."""
    try:
        yield
    except RayTaskError:
        raise  # the code that was called raised it
    except RayError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LostError(f"the process that made {what} died ({reason})") from error


class Patience:
    """Decides, loss by loss, whether to begin again.

    Args:
        finished: returns the names of what is there: stages, checkpoints. At the first loss nobody knows what was there
            before; it counts as one without progress.
        pause: waits for so many seconds.
    """

    def __init__(self, finished: Callable[[], set[str]], pause: Callable[[float], None] = time.sleep) -> None:
        self._finished = finished
        self._pause = pause
        self._seen: set[str] | None = None
        self._num_losses = 0
        self._num_fruitless = 0

    def lost(self, error: LostError) -> None:
        """Wait after a loss: 1 s, 2, 4 and so on up to 60, give or take a half, so that not all begin again at once.

        Raises:
            StageError: nothing has been finished between the last few losses.
        """
        now = self._finished()
        has_progressed = self._seen is not None and not now <= self._seen
        self._seen = (self._seen or set()) | now
        self._num_losses += 1
        self._num_fruitless = 0 if has_progressed else self._num_fruitless + 1
        if self._num_fruitless == MAX_FRUITLESS:
            raise StageError(
                f"{error}. That was the last of {MAX_FRUITLESS} times in a row with nothing finished in between. A "
                "plugin or a library that crashes does this, or a system that ends a process for want of memory: run "
                "it with --local to see, or lower resources.threads, batch and shard sizes."
            ) from error
        seconds = min(LONGEST_PAUSE, 2.0 ** (self._num_losses - 1)) * random.uniform(0.5, 1.5)
        log.warning("%s. It is begun again in %.0f s, from what is finished.", error, seconds)
        self._pause(seconds)
