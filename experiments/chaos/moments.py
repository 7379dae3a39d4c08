"""When a run is disturbed: at any time, or just as a stage of some kind is begun."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from .driver import Driver

KINDS = (None, "train", "checkpoint", "sample", "features", "select", "measure", "picture")
"""Of stages; none: any time."""
LONGEST_PAUSE = 6.0
"""Seconds without a disturbance, so that a run gets somewhere before the next."""
LONGEST_WAIT = 6.0
"""Seconds to wait for a stage that may never be begun."""


def wait_for_a_moment(driver: Driver, storage: Path, rng: random.Random, tick: Callable[[], None]) -> None:
    """Return at a random moment of a run, or once it has ended.

    Args:
        driver: the run.
        storage: where its stages appear.
        rng: decides.
        tick: called again and again meanwhile.
    """

    def wait(condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while driver.exit_code is None and time.monotonic() < deadline and not condition():
            tick()
            time.sleep(0.02)

    if rng.random() < 0.85:  # else it may be starting up, or looking at what is there
        wait(lambda: driver.is_at_work, float("inf"))
    wait(lambda: False, rng.uniform(0.0, LONGEST_PAUSE))
    kind = rng.choice(KINDS)
    if kind is not None:
        begun = _num_begun(storage, kind)
        wait(lambda: _num_begun(storage, kind) > begun, LONGEST_WAIT)
        wait(lambda: False, rng.uniform(0.0, 0.5))


def _num_begun(storage: Path, kind: str) -> int:
    """Return how many attempts at stages of a kind lie there, finished or not."""
    depth = "*/*/*" if kind == "checkpoint" else "*/*"
    return sum(1 for _ in storage.glob(f"stages/{kind}/{depth}"))
