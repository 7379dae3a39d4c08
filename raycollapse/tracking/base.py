"""What shows results outside the storage: a recorder replays the records of trials, and is free to fail."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from raycollapse.tracking.records import TrialRecords


class Recorder(ABC):
    """Brings the records in a storage to a place where people look at them.

    There is no `record(metrics, generation)`: a trial writes its record into the storage, and one process, the driver,
    hands the recorder the trials whose records may have grown. So a place has one writer, replay is the only way into
    it, and a crash or a lost server costs nothing but a later replay. For that, an implementation must

    - bring over what is new, and nothing twice, however often and from however many processes in turn it is called;
    - never raise because the place does not answer: it says so once, goes on, and tries again in a later call.
    """

    uri: str | None = None
    """Where people find it."""

    @abstractmethod
    def sync(self, trials: Sequence[TrialRecords]) -> None:
        """Bring over what these trials have recorded; with no trials, see whether the place answers."""

    @abstractmethod
    def finish(self, trials: Sequence[TrialRecords]) -> None:
        """Bring over what is missing of these and all earlier trials, and how they ended; say what is left over."""


class NoRecorder(Recorder):
    """Shows nothing anywhere."""

    def sync(self, trials: Sequence[TrialRecords]) -> None:
        """Do nothing."""

    def finish(self, trials: Sequence[TrialRecords]) -> None:
        """Do nothing."""
