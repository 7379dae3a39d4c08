"""Replaying beside a run."""

import threading
from collections.abc import Sequence

import pytest

from raycollapse.tracking import Recorder, TrialRecords
from raycollapse.tracking import replay as module
from raycollapse.tracking.replay import replaying


class Listening(Recorder):
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.synced = threading.Event()

    def sync(self, trials: Sequence[TrialRecords]) -> None:
        self.calls.append("sync")
        self.synced.set()

    def finish(self, trials: Sequence[TrialRecords]) -> None:
        self.calls.append("finish")


def test_records_are_replayed_during_the_run_and_once_more_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYNC_SECONDS", 0.01)
    recorder = Listening()
    with replaying(recorder, []):
        assert recorder.synced.wait(timeout=30)
    assert recorder.calls[0] == "sync"
    assert recorder.calls.count("finish") == 1
    assert recorder.calls[-1] == "finish"


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_the_run_the_records_are_replayed(end: type[BaseException]) -> None:
    recorder = Listening()
    with pytest.raises(end), replaying(recorder, []):
        raise end
    assert recorder.calls[-1] == "finish"
