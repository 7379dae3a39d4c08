"""C1 to C4: how the plain loop collapses. Paper: Section 3, `replace` without selection, CIFAR-10 in pixel space.

Runs: `replace`, `uniform`, of one setup, all sizes N of the train set.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from raycollapse.report.claims.comparing import last_shared, quotient
from raycollapse.report.claims.finding import Criterion, Finding, Measure
from raycollapse.report.claims.places import PIXELS, where
from raycollapse.report.claims.runs import Run, designs, of

SCORE, ENTROPY = "memorization/generalization_score", "entropy/train_set"
TRACE, NEAREST = "diversity/covariance_trace_train_set", "diversity/nearest_distance_train_set"
PAPERS_SIZE = 16_384
"""The N that C4's numbers are given for."""

Sizes = Mapping[int, Run]
"""The runs of one seed, by N."""


def exponential_decline(runs: Sequence[Run]) -> list[Finding]:
    """C1: the generalization score falls near-exponentially over generations, for every size.

    Per seed and N a least-squares line through (g, ln GS): its slope b, its R^2 = r(g, ln GS)^2. Told and judged are
    the largest b over all N, which must be < 0, and the least R^2, which must be > 0.5: the line explains more than
    half. The paper says no number; its published curves, read from the figure, give b = -0.285 to -0.092 and R^2 =
    0.54 to 0.995, the lower ones where the loop has come to copies and cannot fall further.
    """
    return [
        Finding(
            "C1", where(group, "replace"),
            (
                _over_seeds(
                    group, (SCORE,), "slope of ln GS per generation, largest over N",
                    lambda sizes: max(_slope(*_logs(run)) for run in sizes.values()), Criterion("<", 0),
                    _papers(group, "-0.092"),
                ),
                _over_seeds(
                    group, (SCORE,), "R^2 of that line, least over N",
                    lambda sizes: min(_correlation(*_logs(run)) ** 2 for run in sizes.values()), Criterion(">", 0.5),
                    _papers(group, "0.54"),
                ),
            ),
        )
        for group in _groups(runs)
    ]  # fmt: skip


def entropy_decline(runs: Sequence[Run]) -> list[Finding]:
    """C2: the entropy of the train set falls with it.

    Per seed and N the least-squares slope of the entropy over generations, in nats; the largest over N must be < 0.
    """

    def largest(sizes: Sizes) -> float:
        return max(_slope(*_points(run, ENTROPY)) for run in sizes.values())

    statistic = "slope of the train set's entropy per generation (nats), largest over N"
    return [
        Finding("C2", where(group, "replace"), (_over_seeds(group, (ENTROPY,), statistic, largest, Criterion("<", 0)),))
        for group in _groups(runs)
    ]


def correlation(runs: Sequence[Run]) -> list[Finding]:
    """C3: entropy and ln GS correlate across sizes and generations, the trace of the covariance far less.

    Per seed Pearson's r over all (N, g) of the train set's entropy and ln GS, and |r| of its covariance trace and
    ln GS. Judged: r(entropy) > 0.5, and |r(trace)| / |r(entropy)| < 0.71: the trace explains less than half as much
    of the variance. At least two sizes. The paper (Section 3) states r = 0.91.
    """
    findings = []
    for group in _groups(runs):
        sizes = {run.num_train for run in group}
        missing = "" if len(sizes) > 1 else "one size only; the correlation is across sizes of data.num_train"
        measures = (
            _over_seeds(
                group, (SCORE, ENTROPY), "Pearson r of entropy and ln GS", lambda own: _pooled(own, ENTROPY),
                Criterion(">", 0.5), _papers(group, "0.91"),
            ),
            _over_seeds(
                group, (SCORE, TRACE), "|Pearson r| of covariance trace and ln GS", lambda own: abs(_pooled(own, TRACE))
            ),
            _over_seeds(
                group, (SCORE, ENTROPY, TRACE), "the latter / |the former|",
                lambda own: quotient(abs(_pooled(own, TRACE)), abs(_pooled(own, ENTROPY))), Criterion("<", 0.71),
            ),
        )  # fmt: skip
        findings.append(Finding("C3", where(group, "replace"), measures, missing))
    return findings


def neighbours_close_in(runs: Sequence[Run]) -> list[Finding]:
    """C4: the mean nearest-neighbour distance collapses while the covariance trace falls less than 2x.

    Of the train set, first generation (real images) over last, at N = 16,384 where that was run, else at the largest N.
    Judged: trace factor < 2, and distance factor / trace factor > 1. The paper: about 10 and less than 2 after ten
    generations.
    """
    findings = []
    for group in _groups(runs):
        size = PAPERS_SIZE if any(run.num_train == PAPERS_SIZE for run in group) else max(r.num_train for r in group)
        own = [run for run in group if run.num_train == size]
        is_papers = size == PAPERS_SIZE
        measures = (
            _over_seeds(
                own, (NEAREST,), "nearest-neighbour distance, first / last", lambda s: _factor(s, NEAREST),
                None, _papers(own, "about 10") if is_papers else "",
            ),
            _over_seeds(
                own, (TRACE,), "covariance trace, first / last", lambda s: _factor(s, TRACE),
                Criterion("<", 2), _papers(own, "< 2") if is_papers else "",
            ),
            _over_seeds(
                own, (NEAREST, TRACE), "the former / the latter",
                lambda s: quotient(_factor(s, NEAREST), _factor(s, TRACE)), Criterion(">", 1),
            ),
        )  # fmt: skip
        findings.append(Finding("C4", where(own, "replace"), measures))
    return findings


def _groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the plain runs of each data set and space: all sizes of one setup."""
    plain = [run for run in runs if (run.paradigm, run.strategy) == ("replace", "uniform")]
    return designs(plain, bool, ["data.num_train"])


def _over_seeds(
    group: Sequence[Run],
    metrics: Sequence[str],
    statistic: str,
    of_seed: Callable[[Sizes], float],
    criterion: Criterion | None = None,
    paper: str = "",
) -> Measure:
    """Return a statistic of each seed that has all sizes, up to the last generation that they have in common."""
    sizes, seeds = {run.num_train for run in group}, _by_seed(group)
    whole = {seed: own for seed, own in seeds.items() if own.keys() == sizes}
    last = min((last_shared([list(own.values()) for own in whole.values()], metric) for metric in metrics), default=0)
    done = {seed: own for seed, own in whole.items() if all(_reaches(run, metrics, last) for run in own.values())}
    if last >= 3:
        values = {seed: of_seed({n: _until(run, last) for n, run in done[seed].items()}) for seed in sorted(done)}
        return Measure(f"{statistic}, to generation {last}", values, criterion, paper)
    lacking = f"{' or '.join(metrics)} is not recorded" if last == 0 else f"{last} generations; 3 at least are needed"
    return Measure(statistic, {}, criterion, paper, lacking if whole else "no seed has all sizes")


def _by_seed(group: Sequence[Run]) -> dict[int, dict[int, Run]]:
    seeds: dict[int, dict[int, Run]] = defaultdict(dict)
    for size in {run.num_train for run in group}:
        for seed, run in of((run for run in group if run.num_train == size), "uniform").items():
            seeds[seed][size] = run
    return seeds


def _reaches(run: Run, metrics: Sequence[str], generation: int) -> bool:
    return all(generation in run.series(metric) for metric in metrics)


def _until(run: Run, last: int) -> Run:
    kept = {metric: {g: v for g, v in own.items() if g <= last} for metric, own in run.values.items()}
    return replace(run, values=kept)


def _points(run: Run, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    series = run.series(metric)
    return np.array(list(series), dtype=np.float64), np.array(list(series.values()), dtype=np.float64)


def _logs(run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    generations, scores = _points(run, SCORE)
    return generations, _log(scores)


def _log(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logarithms; a score of 0, copies only, is NaN, as nothing can be said of its decline."""
    return np.log(np.where(scores > 0, scores, np.nan))


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return Pearson's r; NaN where one of the two is constant."""
    x, y = x - x.mean(), y - y.mean()
    return quotient(float((x * y).sum()), float(np.sqrt((x**2).sum() * (y**2).sum())))


def _pooled(sizes: Sizes, metric: str) -> float:
    """Return Pearson's r of a metric and ln GS over all sizes and generations that have both."""
    pairs = [
        (run.series(metric)[g], score)
        for run in sizes.values()
        for g, score in run.series(SCORE).items()
        if g in run.series(metric)
    ]
    values, scores = np.array(pairs).T
    return _correlation(values, _log(scores))


def _factor(sizes: Sizes, metric: str) -> float:
    (run,) = sizes.values()
    values = list(run.series(metric).values())
    return quotient(values[0], values[-1])


def _papers(group: Sequence[Run], value: str) -> str:
    return value if (group[0].data, group[0].space) == ("cifar10", PIXELS) else ""
