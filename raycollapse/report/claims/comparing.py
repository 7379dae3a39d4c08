"""Two configurations compared seed by seed, at the last generation that enough of their replicates have reached.

Runs of one seed share their first model and their random numbers, so differences within a seed are smaller than
differences between seeds.
"""

import math
from collections.abc import Callable, Sequence

from raycollapse.report.claims.finding import MIN_SEEDS, Criterion, Measure
from raycollapse.report.claims.runs import Run, Seeds

Statistic = Callable[[float, float], float]


def difference(ours: float, theirs: float) -> float:
    """Return ours - theirs, in the metric's unit."""
    return ours - theirs


def quotient(ours: float, theirs: float) -> float:
    """Return ours / theirs; infinite for theirs = 0, and NaN if both are 0.

    >>> quotient(1.0, 4.0), quotient(1.0, 0.0), quotient(0.0, 0.0)
    (0.25, inf, nan)
    """
    if theirs == 0:
        return math.nan if ours == 0 else math.copysign(math.inf, ours)
    return ours / theirs


SIGNS: dict[Statistic, str] = {difference: "-", quotient: "/"}


def compare(
    metric: str,
    ours: tuple[str, Seeds],
    theirs: tuple[str, Seeds],
    statistic: Statistic,
    criterion: Criterion | None = None,
    paper: str = "",
) -> Measure:
    """Return a statistic of the metric of two configurations, each given with its name.

    Generation 1 is the same for all, so it is not compared.
    """
    (our_name, our_runs), (their_name, their_runs) = ours, theirs
    seeds = sorted(our_runs.keys() & their_runs.keys())
    pairs = {seed: (our_runs[seed], their_runs[seed]) for seed in seeds}
    generation = last_shared([list(pair) for pair in pairs.values()], metric)
    text = f"{metric}: {our_name} {SIGNS[statistic]} {their_name}"
    if generation < 2:
        return Measure(text, {}, criterion, paper, _lacking(metric, pairs, generation, ours, theirs))
    by_seed = {
        seed: statistic(a.series(metric)[generation], b.series(metric)[generation])
        for seed, (a, b) in pairs.items()
        if generation in a.series(metric) and generation in b.series(metric)
    }
    return Measure(f"{text}, generation {generation}", by_seed, criterion, paper)


def last_shared(groups: Sequence[Sequence[Run]], metric: str) -> int:
    """Return the last generation at which `MIN_SEEDS` of the groups have the metric in all their runs; 0: none.

    Of fewer groups, the last that all of them have. So a replicate that is still running does not hold back those that
    are done.
    """
    lasts = sorted((_last_of_all(group, metric) for group in groups), reverse=True)
    return lasts[min(MIN_SEEDS, len(lasts)) - 1] if lasts else 0


def _last_of_all(group: Sequence[Run], metric: str) -> int:
    shared = set.intersection(*(set(run.series(metric)) for run in group))
    return max(shared, default=0)


def _lacking(
    metric: str,
    pairs: dict[int, tuple[Run, Run]],
    generation: int,
    *sides: tuple[str, Seeds],
) -> str:
    """Say why there is nothing to compare."""
    for name, runs in sides:
        if not runs:
            return f"no runs of {name}"
    if not pairs:
        return f"{sides[0][0]} and {sides[1][0]} have no seed in common"
    if generation == 1:
        return f"of {metric} only generation 1 is there, which is the same for all"
    return f"{metric} is not recorded"
