"""Replaying records into a recorder while an experiment runs, beside it: a slow server holds nothing up."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from raycollapse.tracking.base import Recorder
from raycollapse.tracking.records import TrialRecords

SYNC_SECONDS = 2.0

log = logging.getLogger(__name__)


@contextmanager
def replaying(recorder: Recorder, trials: Sequence[TrialRecords]) -> Iterator[None]:
    """Replay what is recorded every few seconds during the block, and to the end after it, whatever ended it."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(SYNC_SECONDS):
            recorder.sync(trials)

    thread = threading.Thread(target=work, daemon=True, name="raycollapse-recorder")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        recorder.finish(trials)
