"""Where a run gets its trials from: a list of them, or a search that makes each from what others came to."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from raycollapse.config import Experiment


class TrialSource(ABC):
    """Hands out trials, to one caller at a time."""

    @property
    @abstractmethod
    def handed_out(self) -> Sequence[Experiment]:
        """The trials so far."""

    @abstractmethod
    def next_trial(self) -> Experiment | None:
        """Return the next trial to run; none if there are no more."""

    @abstractmethod
    def settle(self, trial: Experiment) -> None:
        """Take note that a trial is over: what came of it lies in its record."""


class ListedTrials(TrialSource):
    """Trials that are all known beforehand."""

    def __init__(self, trials: Sequence[Experiment]) -> None:
        self._trials = trials
        self._num_handed_out = 0

    @property
    def handed_out(self) -> Sequence[Experiment]:
        return self._trials[: self._num_handed_out]

    def next_trial(self) -> Experiment | None:
        if self._num_handed_out == len(self._trials):
            return None
        self._num_handed_out += 1
        return self._trials[self._num_handed_out - 1]

    def settle(self, trial: Experiment) -> None:
        """Do nothing: no other trial depends on it."""
