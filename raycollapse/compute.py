"""What a run has spent, and what it has saved, from the seconds in the manifests of its stages."""

from dataclasses import dataclass

from raycollapse.plan import Plan
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


def there(plan: Plan, store: Store, known: Seconds | None = None) -> Seconds:
    """Return the seconds of those stages of a plan that are in the store; those known already are not looked up."""
    seconds = dict(known or {})
    for name in plan.shared.keys() - seconds.keys():
        manifest = store.find(*name)
        if manifest is not None:
            seconds[name] = manifest.seconds
    return seconds


def compute(plan: Plan, before: Seconds, after: Seconds) -> Compute:
    """Return what the stages of a plan took that are there after a run, given those that were there before it.

    Of a training that was killed and resumed only what followed the last resumption is known.
    """
    made, reused, shared = Spent(), Spent(), Spent()
    for name, seconds in after.items():
        one = _spent(plan.shared[name], seconds)
        made, reused = (made, reused + one) if name in before else (made + one, reused)
        shared += one * (plan.num_users[name] - 1)
    return Compute(made, reused, shared)


def _spent(stage: Stage, seconds: float) -> Spent:
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
