"""Claims: two trials that need the same stage at once do not both make it. Who comes second waits, and holds nothing.

A claim is an economy, never needed for correctness: the store's first commit wins. Claims of an owner that no longer
beats expire, so a trial that dies blocks nobody for long. The book's process imports this module, so it imports little.
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
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

NAMESPACE = "raycollapse"
BEAT_SECONDS = 3.0
EXPIRY_SECONDS = 20.0
ANSWER_SECONDS = 20.0
"""How long the book may take to answer (it may be starting, or moving) before a trial does without."""

log = logging.getLogger(__name__)


class ClaimBook:
    """Who is making which stage. One for each storage, as a detached named actor.

    Args:
        expiry: seconds without a beat after which an owner counts as dead.
    """

    def __init__(self, expiry: float = EXPIRY_SECONDS) -> None:
        self._expiry = expiry
        self._owners: dict[str, str] = {}
        self._beats: dict[str, float] = {}

    def take(self, owner: str, keys: list[str]) -> list[str]:
        """Return those of the keys that the owner may work on now."""
        self._beats[owner] = time.monotonic()
        granted = [key for key in keys if self._is_free(key, owner)]
        self._owners.update(dict.fromkeys(granted, owner))
        return granted

    def release(self, owner: str, keys: list[str]) -> None:
        """Give claims back, done or not."""
        for key in keys:
            if self._owners.get(key) == owner:
                del self._owners[key]

    def beat(self, owner: str, keys: list[str]) -> None:
        """Show that the owner lives, and what it holds: a book that was started anew has forgotten."""
        self.take(owner, keys)

    def _is_free(self, key: str, owner: str) -> bool:
        holder = self._owners.get(key)
        if holder is None or holder == owner:
            return True
        return time.monotonic() - self._beats[holder] > self._expiry


class Claims:
    """One trial's side of the claim book; its claims beat as long as this process lives.

    Args:
        storage: the storage that the claims are about.
        expiry: seconds after which claims of the dead expire; whoever opens the book first decides.
    """

    def __init__(self, storage: str, expiry: float = EXPIRY_SECONDS) -> None:
        name = f"claims-{hashlib.sha256(storage.encode()).hexdigest()[:16]}"
        # Beside the trial if that node lives, elsewhere if not. Without a strategy of its own an actor made in a trial
        # lives in the trial's placement group, and dies with the trial.
        near = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._book: Any = ray.remote(ClaimBook).options(
            name=name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, num_cpus=0,
            max_restarts=-1, max_task_retries=-1, scheduling_strategy=near,
        ).remote(expiry)  # fmt: skip
        self._owner = uuid.uuid4().hex
        self._held: frozenset[str] = frozenset()
        self._stop = threading.Event()
        threading.Thread(target=self._keep_beating, daemon=True, name="raycollapse-claims").start()

    def take(self, keys: list[str]) -> set[str]:
        """Return those of the keys that this trial may work on now: all of them while the book cannot be reached."""
        try:
            granted = set(ray.get(self._book.take.remote(self._owner, keys), timeout=ANSWER_SECONDS))
        except RayError as error:
            log.warning("Claims cannot be taken (%s); the stages are made without, perhaps twice.", error)
            return set(keys)
        self._held |= granted
        return granted

    def release(self, keys: list[str]) -> None:
        """Give claims back, done or not."""
        self._held -= set(keys)
        with contextlib.suppress(RayError):  # then they expire
            ray.get(self._book.release.remote(self._owner, keys), timeout=ANSWER_SECONDS)

    def close(self) -> None:
        """Stop beating: what is still claimed expires."""
        self._stop.set()

    def _keep_beating(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            if not ray.is_initialized():  # `ray.get` would start another cluster
                return
            with contextlib.suppress(RayError):  # without the book, claims only cost double work
                ray.get(self._book.beat.remote(self._owner, list(self._held)), timeout=ANSWER_SECONDS)
