"""Who is working on a storage: each run says so in it, beat by beat, so that nothing that it uses is cleaned away.

A run announces its trials before it looks for its first stage, at `<storage>/working/<id>/`, and takes that back at its
end. One that dies cannot take it back; it counts as dead once it has not beaten for a while.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from raycollapse.store.store import Store

FOLDER = "working"
BEAT_SECONDS = 30.0
EXPIRY_SECONDS = 600.0
"""Without a beat for so long a run counts as dead: longer than two clocks, or a slow network, may be off."""


@dataclass(frozen=True)
class AtWork:
    """A run that has announced itself."""

    path: str
    """Its folder in the storage."""
    trials: list[dict[str, Any]]
    """Their resolved configurations."""
    seconds: float
    """How long ago it last beat, by the clocks of the machines."""

    @property
    def is_alive(self) -> bool:
        """Whether it still beats, as far as can be known."""
        return self.seconds <= EXPIRY_SECONDS


class Announcement:
    """What one run says of itself in the storage: the trials that it works on, and that it lives.

    Args:
        store: the storage.
        trials: resolved configurations of the trials that are known so far.
    """

    def __init__(self, store: Store, trials: Sequence[dict[str, Any]]) -> None:
        self._store = store
        self._trials = list(trials)
        self._lock = threading.Lock()
        self.path = f"{FOLDER}/{uuid.uuid4().hex[:12]}"

    def add(self, trial: dict[str, Any]) -> None:
        """Announce one more trial, before its first stage is looked for."""
        with self._lock:
            self._trials.append(trial)
            self._store.write_json(f"{self.path}/trials.json", self._trials)

    def beat(self) -> None:
        """Say that the run lives."""
        with self._lock:
            self._store.write_json(f"{self.path}/beat.json", {"time": time.time()})
            path = f"{self.path}/trials.json"
            if self._store.files.size(path) is None:  # not written yet; or this machine slept, and was given up
                self._store.write_json(path, self._trials)


@contextmanager
def announced(store: Store, trials: Sequence[dict[str, Any]]) -> Iterator[Announcement]:
    """Say in the storage, for as long as the block takes, that trials with these configurations are worked on."""
    announcement, stop = Announcement(store, trials), threading.Event()

    def keep_beating() -> None:
        while not stop.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):  # the network is away; the next beat may get through
                announcement.beat()

    announcement.beat()
    thread = threading.Thread(target=keep_beating, daemon=True, name="raycollapse-at-work")
    thread.start()
    try:
        yield announcement
    finally:
        stop.set()
        thread.join()
        with contextlib.suppress(OSError):  # then it expires
            store.files.remove(announcement.path)


def at_work(store: Store) -> list[AtWork]:
    """Return the runs that have announced themselves and not taken it back, the dead ones too.

    Raises:
        RequestError: an announcement cannot be read.
    """
    found = []
    for name in store.files.children(FOLDER):
        path = f"{FOLDER}/{name}"
        beat, trials = store.read_json(f"{path}/beat.json"), store.read_json(f"{path}/trials.json")
        if beat is not None:  # else it has been taken back since
            found.append(AtWork(path, trials or [], time.time() - beat["time"]))
    return found
