"""What a run has spent, and what it has saved, from the seconds in the manifests of its stages."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from raycollapse.config import Experiment
from raycollapse.plan import plan
from raycollapse.stages.base import Stage
from raycollapse.stages.features import FeaturesStage
from raycollapse.stages.sampling import SampleStage
from raycollapse.stages.training import TrainStage
from raycollapse.store import Store

Seconds = dict[tuple[str, str], float]
"""How long stages took when they were made, by kind and key."""


@dataclass(frozen=True)
class Spent:
    """Time that stages take."""

    seconds: float = 0.0
    """Of one process after the other, whatever ran side by side."""
    gpu_seconds: float = 0.0
    """The part of it that holds a GPU, times the number of GPUs."""

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.seconds + other.seconds, self.gpu_seconds + other.gpu_seconds)

    def __mul__(self, num: int) -> "Spent":
        return Spent(self.seconds * num, self.gpu_seconds * num)

    def __str__(self) -> str:
        return duration(self.seconds) + (f" ({duration(self.gpu_seconds)} of GPUs)" if self.gpu_seconds else "")


@dataclass(frozen=True)
class Compute:
    """Where the compute of a run's stages came from. The three add up to what the trials would take alone, anew."""

    made: Spent = Spent()
    """Stages that were not there when the run began."""
    reused: Spent = Spent()
    """Stages that were there from an earlier run, or for another experiment."""
    shared: Spent = Spent()
    """What trials after the first would have spent on stages that they have in common with it."""

    @property
    def alone(self) -> Spent:
        """What the trials would have taken if each had made all of its stages."""
        return self.made + self.reused + self.shared

    def __str__(self) -> str:
        return (
            f"{self.made} spent on stages made in this run; saved: {self.reused} by stages that were there, "
            f"{self.shared} by sharing between trials. Each trial alone, anew: {self.alone}."
        )


class Ledger:
    """The stages that the trials of a run need, and which of them were there before the run asked for them.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._plan = plan([])
        self._start = time.time()
        self._there: dict[tuple[str, str], float | None] = {}
        """The seconds of stages that were there when the run began; none of those that were not."""

    def look(self, trials: list[Experiment]) -> None:
        """Take note which stages are there, before anything that these trials may share is made."""
        self._look_for(plan(trials, self._store).shared)

    def add(self, trials: list[Experiment]) -> None:
        """Add trials of the run before they begin."""
        added = plan(trials, self._store)
        self._look_for(added.shared)
        self._plan.include(added)

    def _look_for(self, names: Iterable[tuple[str, str]]) -> None:
        new = [name for name in names if name not in self._there]
        found = ((name, self._store.find(*name)) for name in new)
        self._there |= {
            name: manifest.seconds if manifest is not None and manifest.timestamp < self._start else None
            for name, manifest in found
        }

    def _is_there(self, stage: Stage) -> bool:
        return self._store.find(stage.kind, stage.key) is not None

    @property
    def num_stages(self) -> int:
        """How many distinct stages the trials need."""
        return len(self._plan.shared)

    @property
    def num_there(self) -> int:
        """How many of them were there."""
        return sum(self._there[name] is not None for name in self._plan.shared)

    def compute(self) -> Compute:
        """Return what has been spent and saved by now.

        Of a training that was killed and resumed only what followed the last resumption is known.
        """
        reused, shared = Spent(), Spent()
        if any(stage.kind == "sample" and not self._is_there(stage) for stage in self._plan.shared.values()):
            self._plan = plan(self._plan.trials, self._store)  # some may have been made with half the batch meanwhile
        before = {name: self._there.get(name) for name in self._plan.shared}
        new = there(self._store, [name for name, seconds in before.items() if seconds is None])
        made = sum((cost(self._plan.shared[name], seconds) for name, seconds in new.items()), Spent())
        for name, seconds in (before | new).items():
            if seconds is not None:
                one = cost(self._plan.shared[name], seconds)
                reused += Spent() if name in new else one
                shared += one * (self._plan.num_users[name] - 1)
        return Compute(made, reused, shared)


def there(store: Store, names: Iterable[tuple[str, str]]) -> Seconds:
    """Return the seconds of those stages that are in the store, of the ones named by kind and key."""
    found = ((name, store.find(*name)) for name in names)
    return {name: manifest.seconds for name, manifest in found if manifest is not None}


def cost(stage: Stage, seconds: float) -> Spent:
    """Return what a stage that took so long has cost."""
    match stage:
        case TrainStage(device="cuda", num_workers=num):
            return Spent(seconds, seconds * num)
        case SampleStage(device="cuda") | FeaturesStage(device="cuda"):
            return Spent(seconds, seconds)
        case _:
            return Spent(seconds)


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    >>> duration(4.25), duration(90), duration(600), duration(9000)
    ('4.2 s', '90 s', '10 min', '2.5 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
