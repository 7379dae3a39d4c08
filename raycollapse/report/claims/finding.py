"""What was found about a claim: statistics, one value for each seed, and the verdict that follows from them.

A statistic that a claim is judged by has a criterion. The claim holds if every criterion is met in every seed, of which
there must be three at least; one seed against it, and it does not hold. So a claim is never borne out by a mean alone.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MIN_SEEDS = 3

Verdict = Literal["holds", "does not hold", "not tested at this size"]


@dataclass(frozen=True)
class Criterion:
    """What a statistic must be for the claim to hold.

    >>> str(Criterion("<", 1.0)), Criterion("<", 1.0).is_met(0.9), Criterion(">", 0.0).is_met(float("nan"))
    ('< 1', True, False)
    """

    relation: Literal["<", ">"]
    bound: float

    def is_met(self, value: float) -> bool:
        """Return whether a value meets it."""
        return value < self.bound if self.relation == "<" else value > self.bound

    def __str__(self) -> str:
        return f"{self.relation} {self.bound:g}"


@dataclass(frozen=True)
class Measure:
    """A statistic of replicated runs."""

    statistic: str
    """What it is, of which runs and at which generation."""
    by_seed: Mapping[int, float]
    criterion: Criterion | None = None
    """None: shown beside the others, and not judged."""
    paper: str = ""
    """The paper's value, where data set and space are the same."""
    lacking: str = ""
    """Why there is no value, or none for enough seeds."""

    @property
    def mean(self) -> float:
        """The mean over seeds; NaN if there are none."""
        return math.fsum(self.by_seed.values()) / len(self.by_seed) if self.by_seed else math.nan

    @property
    def deviation(self) -> float:
        """The standard deviation over seeds (n - 1); NaN for fewer than two, and where a value is infinite."""
        values = list(self.by_seed.values())
        return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else math.nan

    @property
    def num_met(self) -> int:
        """In how many seeds the criterion is met."""
        return sum(self.criterion is not None and self.criterion.is_met(value) for value in self.by_seed.values())


@dataclass(frozen=True)
class Finding:
    """A claim in one setup: a data set, a feature space, N."""

    claim: str
    """`C1` to `C13`."""
    where: str
    measures: tuple[Measure, ...] = ()
    missing: str = ""
    """Runs that the claim is about and that are not there; nothing if all are."""

    @property
    def judged(self) -> list[Measure]:
        """The measures that decide."""
        return [measure for measure in self.measures if measure.criterion is not None]

    @property
    def verdict(self) -> Verdict:
        """What follows from the measures."""
        if self.reason:
            return "not tested at this size"
        holds = all(measure.num_met == len(measure.by_seed) for measure in self.judged)
        return "holds" if holds else "does not hold"

    @property
    def reason(self) -> str:
        """Why the claim is not tested; nothing if it is."""
        if self.missing or not self.judged:
            return self.missing or "nothing to judge it by was recorded"
        for measure in self.judged:
            if len(measure.by_seed) < MIN_SEEDS:
                return measure.lacking or f"{_seeds(len(measure.by_seed))} of the {MIN_SEEDS} that are needed"
            if num_undefined := sum(map(math.isnan, measure.by_seed.values())):
                return f"{measure.statistic} is undefined in {_seeds(num_undefined)}"
        return ""


def _seeds(num: int) -> str:
    return f"{num} seed" if num == 1 else f"{num} seeds"
