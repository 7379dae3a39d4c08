"""Who is working on a storage: each run says so in it, beat by beat, so that nothing that it uses is cleaned away.

A run announces its trials before it looks for its first stage, at `<storage>/working/<id>/`, and takes that back at its
end. One that dies cannot take it back; it counts as dead once it has not beaten for a while.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
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


@contextmanager
def announced(store: Store, trials: list[dict[str, Any]]) -> Iterator[None]:
    """Say in the storage, for as long as the block takes, that trials with these configurations are worked on."""
    path, stop = f"{FOLDER}/{uuid.uuid4().hex[:12]}", threading.Event()

    def beat() -> None:
        store.write_json(f"{path}/beat.json", {"time": time.time()})
        if store.files.size(f"{path}/trials.json") is None:  # not written yet; or this machine slept, and was given up
            store.write_json(f"{path}/trials.json", trials)

    def keep_beating() -> None:
        while not stop.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):  # the network is away; the next beat may get through
                beat()

    beat()
    thread = threading.Thread(target=keep_beating, daemon=True, name="raycollapse-at-work")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        with contextlib.suppress(OSError):  # then it expires
            store.files.remove(path)


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
