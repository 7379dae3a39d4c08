"""Early stopping: rules that end a trial whose metric is hopeless beside the others' at the same generation.

A rule sees recorded values only, so it decides alike here and on a cluster, and nothing has to be killed: a trial looks
when a generation of it is recorded, and begins the next one or does not.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from raycollapse.errors import RequestError
from raycollapse.schema import Family, Member
from raycollapse.search.settings import Direction

Curve = Mapping[int, float]
"""Generation -> value of the metric."""


class Scheduler(Member, ABC):
    """When a trial of a sweep is stopped before its last generation."""

    metric: str
    """The recorded metric by which trials are compared: `quality/fd`, say."""
    mode: Direction
    """Whether small or large values of it are good: `minimise` or `maximise`."""
    grace_period: int = Field(default=1, ge=1)
    """The first generation at whose end a trial may be stopped."""

    def check_request(self, num_generations: int) -> None:
        """Raise RequestError if no trial could ever be stopped."""
        if self.grace_period >= num_generations:
            raise RequestError(
                f"sweep.scheduler.grace_period is {self.grace_period} and num_generations is {num_generations}, so no "
                "trial would ever be stopped: a trial at its last generation is at its end. Lower grace_period, or "
                "leave out sweep.scheduler."
            )

    def reason_to_stop(self, own: Curve, others: Sequence[Curve]) -> str | None:
        """Return why a trial is not worth its next generation; none if it goes on.

        Args:
            own: the trial's values, up to the generation that it has just ended.
            others: those of all the other trials, however far they are.
        """
        generation = max(own)
        if generation < self.grace_period:
            return None
        if not np.isfinite(own[generation]):
            return f"{self.metric} is {own[generation]} at generation {generation}"
        return self._reason(_finite(own), [_finite(other) for other in others], generation)

    @abstractmethod
    def _reason(self, own: Curve, others: Sequence[Curve], generation: int) -> str | None:
        """Return why to stop, all values being finite."""

    def _is_worse(self, value: float, bar: float) -> bool:
        return value > bar if self.mode == "minimise" else value < bar


class Asha(Scheduler):
    """Asynchronous successive halving (Li et al., MLSys 2020), of which trials are stopped and never paused.

    At each rung (generations `grace_period`, times `reduction_factor`, times `reduction_factor` squared, ...) a trial
    goes on if its value is no worse than the quantile 1/`reduction_factor`, from the good end, of those that came to
    that rung before it.
    """

    name: Literal["asha"] = "asha"
    reduction_factor: int = Field(default=3, ge=2)
    """About one trial in so many goes on from a rung."""

    def is_rung(self, generation: int) -> bool:
        """Whether trials are compared at the end of this generation."""
        rung = self.grace_period
        while rung < generation:
            rung *= self.reduction_factor
        return rung == generation

    def _reason(self, own: Curve, others: Sequence[Curve], generation: int) -> str | None:
        values = [other[generation] for other in others if generation in other]
        if not self.is_rung(generation) or not values:
            return None
        share = 1 / self.reduction_factor
        bar = float(np.quantile(values, share if self.mode == "minimise" else 1 - share))
        if not self._is_worse(own[generation], bar):
            return None
        return (
            f"{self.metric} is {own[generation]:.4g} at generation {generation}; to be among the best of "
            f"{self.reduction_factor} it must be {_bound(self.mode)} {bar:.4g} (asha, {len(values)} other trials)"
        )


class MedianStopping(Scheduler):
    """The median stopping rule (Golovin et al., KDD 2017, section 3.2.2).

    A trial is stopped if its best value so far is worse than the median, over the other trials that have come as far,
    of their means up to the same generation.
    """

    name: Literal["median"] = "median"
    min_trials: int = Field(default=3, ge=1)
    """How many other trials must have come as far."""

    def _reason(self, own: Curve, others: Sequence[Curve], generation: int) -> str | None:
        means = [
            float(np.mean([value for at, value in other.items() if self.grace_period <= at <= generation]))
            for other in others
            if generation in other
        ]
        if len(means) < self.min_trials:
            return None
        best = min(own.values()) if self.mode == "minimise" else max(own.values())
        bar = float(np.median(means))
        if not self._is_worse(best, bar):
            return None
        return (
            f"{self.metric} is {best:.4g} at best by generation {generation}; the median of {len(means)} other trials' "
            f"means is {bar:.4g} (median)"
        )


def _finite(curve: Curve) -> Curve:
    return {generation: value for generation, value in curve.items() if np.isfinite(value)}


def _bound(mode: Direction) -> str:
    return "at most" if mode == "minimise" else "at least"


AnyScheduler = Annotated[Asha | MedianStopping, Field(discriminator="name"), Family(Scheduler)]
