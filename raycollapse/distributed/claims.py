"""Claims: two trials that need the same stage at once do not both make it. Who comes second waits, and holds nothing.

A claim is an economy, never needed for correctness: the store's first commit wins. Claims of an owner that no longer
beats expire, so a trial that dies blocks nobody for long.
"""

import contextlib
import hashlib
import logging
import threading
import time
import uuid
from typing import Any

import ray
from ray.exceptions import RayError

NAMESPACE = "raycollapse"
BEAT_SECONDS = 3.0
EXPIRY_SECONDS = 20.0

log = logging.getLogger(__name__)


class ClaimBook:
    """Who is making which stage. One for each storage, as a detached named actor."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._beats: dict[str, float] = {}

    def take(self, owner: str, keys: list[str]) -> list[str]:
        """Return those of the keys that the owner may work on now."""
        self.beat(owner)
        granted = [key for key in keys if self._is_free(key, owner)]
        self._owners.update(dict.fromkeys(granted, owner))
        return granted

    def release(self, owner: str, keys: list[str]) -> None:
        """Give claims back, done or not."""
        for key in keys:
            if self._owners.get(key) == owner:
                del self._owners[key]

    def beat(self, owner: str) -> None:
        """Show that the owner lives."""
        self._beats[owner] = time.monotonic()

    def _is_free(self, key: str, owner: str) -> bool:
        holder = self._owners.get(key)
        if holder is None or holder == owner:
            return True
        return time.monotonic() - self._beats.get(holder, 0.0) > EXPIRY_SECONDS


class Claims:
    """One trial's side of the claim book; its claims beat as long as this process lives."""

    def __init__(self, storage: str) -> None:
        name = f"claims-{hashlib.sha256(storage.encode()).hexdigest()[:16]}"
        # Without the strategy an actor made in a trial lives in the trial's placement group, and dies with the trial.
        self._book: Any = ray.remote(ClaimBook).options(
            name=name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, num_cpus=0, max_restarts=-1,
            scheduling_strategy="DEFAULT",
        ).remote()  # fmt: skip
        self._owner = uuid.uuid4().hex
        self._stop = threading.Event()
        threading.Thread(target=self._keep_beating, daemon=True, name="raycollapse-claims").start()

    def take(self, keys: list[str]) -> set[str]:
        """Return those of the keys that this trial may work on now: all of them while the book cannot be reached."""
        try:
            return set(ray.get(self._book.take.remote(self._owner, keys), timeout=EXPIRY_SECONDS))
        except RayError as error:
            log.warning("Claims cannot be taken (%s); the stages are made without, perhaps twice.", error)
            return set(keys)

    def release(self, keys: list[str]) -> None:
        """Give claims back, done or not."""
        with contextlib.suppress(RayError):  # then they expire
            ray.get(self._book.release.remote(self._owner, keys), timeout=EXPIRY_SECONDS)

    def close(self) -> None:
        """Stop beating: what is still claimed expires."""
        self._stop.set()

    def _keep_beating(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            with contextlib.suppress(RayError):  # without the book, claims only cost double work
                ray.get(self._book.beat.remote(self._owner), timeout=BEAT_SECONDS)
