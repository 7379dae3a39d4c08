"""C5 to C8: what selecting a high-entropy train set does. Paper: Section 5, vanilla, Greedy and TDF in two paradigms.

Runs: `uniform`, `greedy` and `threshold_decay` of one setup, under `replace` and under `accumulate`, which are judged
apart. Of several decays 0.95 counts.
"""

from collections.abc import Callable, Sequence

from raycollapse.report.claims.comparing import compare, difference, quotient
from raycollapse.report.claims.decline import ENTROPY, SCORE
from raycollapse.report.claims.finding import Criterion, Finding, Measure
from raycollapse.report.claims.places import DINO, TORCHVISION, frechet_metrics, space_of, where
from raycollapse.report.claims.runs import Run, designs, has, of

SELECTORS = ("greedy", "threshold_decay")
PARADIGMS = ("replace", "accumulate")
REAL_SHARE = "selection/real_share"

PAPERS_FID = {
    ("cifar10", "replace"): (8, 188.8, 113.3, 112.0),
    ("cifar10", "accumulate"): (8, 87.1, 52.9, 55.5),
    ("ffhq", "accumulate"): (8, 75.8, 44.6, 57.3),
    ("ffhq", "replace"): (7, 94.3, 99.8, 97.8),
}
"""Data set, paradigm -> iteration, FID by torchvision's weights of vanilla, Greedy, TDF (paper, Section 5)."""

PAPERS_SHARE = {"ffhq": (0.64, 0.41), "cifar10": (0.45, 0.37)}
"""Data set -> real share at iteration 8 under accumulate, of Greedy and TDF, in DINOv2 space (paper, Section 5)."""

BETTER_HIGH = ("quality/precision", "quality/density", "diversity/recall", "diversity/coverage")
"""Beside the Frechet distances: what else might say that selection does harm."""


def more_entropy_and_novelty(runs: Sequence[Run]) -> list[Finding]:
    """C5: selection keeps entropy and generalization score above the plain loop's.

    Per selector and seed, at the last generation: the train set's entropy minus that of `uniform`, in nats, > 0; the
    generalization score over that of `uniform`, > 1.
    """

    def measures(group: Sequence[Run]) -> list[Measure]:
        return [
            *_against_uniform(group, ENTROPY, difference, Criterion(">", 0)),
            *_against_uniform(group, SCORE, quotient, Criterion(">", 1)),
        ]

    return _panels("C5", runs, measures)


def lower_distance(runs: Sequence[Run]) -> list[Finding]:
    """C6: selection lowers the FID.

    Per selector and seed, at the last generation: FID over that of `uniform`, < 1. Where no FID was recorded, the
    Frechet distance in the selection's space. FFHQ under `replace` is C7's.
    """

    def measures(group: Sequence[Run]) -> list[Measure]:
        return [
            measure
            for metric in frechet_metrics(group)
            for measure in _against_uniform(group, metric, quotient, Criterion("<", 1))
        ]

    return _panels("C6", [run for run in runs if (run.data, run.paradigm) != ("ffhq", "replace")], measures)


def not_always(runs: Sequence[Run]) -> list[Finding]:
    """C7: but not always: there are data sets where selection raises the FID. Judged for each data set by itself.

    Per seed, at the last generation: FID over that of `uniform`, of that selector and paradigm for which its mean is
    largest; the claim holds for a data set where it is > 1. Beside it, not judged, whatever other measure of quality or
    diversity is worse than that of `uniform` in every seed. The paper saw it for FFHQ under `replace`, iteration 7:
    94.3, TDF 97.8, Greedy 99.8.
    """
    findings = []
    for group in _whole_panels(runs):
        parts = [[run for run in group if run.paradigm == paradigm] for paradigm in PARADIGMS]
        parts = [part for part in parts if has("uniform")(part)]
        ratios = [
            measure
            for part in parts
            for metric in frechet_metrics(group)
            for measure in _against_uniform(part, metric, quotient, Criterion(">", 1), part[0].paradigm)
        ]
        known = [measure for measure in ratios if measure.by_seed]
        worst = max(known or ratios, key=lambda measure: measure.mean)
        findings.append(Finding("C7", where(group), (worst, *_harm(parts)), _missing(group)))
    return findings


def real_images_kept(runs: Sequence[Run]) -> list[Finding]:
    """C8: under `accumulate` the selectors keep far more real images than an even draw.

    Per selector and seed, at the last generation: the real share of the train set over that of `uniform`, the even draw
    (1/g at generation g, 0.125 at 8); far more: > 2. The paper: 0.64 (FFHQ, Greedy), 0.41 (FFHQ, TDF), 0.45 (CIFAR,
    Greedy), 0.37 (CIFAR, TDF) over 0.125.
    """

    def measures(group: Sequence[Run]) -> list[Measure]:
        return _against_uniform(group, REAL_SHARE, quotient, Criterion(">", 2))

    return _panels("C8", [run for run in runs if run.paradigm == "accumulate"], measures)


def _panels(claim: str, runs: Sequence[Run], measures: Callable[[Sequence[Run]], list[Measure]]) -> list[Finding]:
    """Return a finding for each data set, space and paradigm."""
    groups = [
        group
        for paradigm in PARADIGMS
        for group in designs([run for run in _candidates(runs) if run.paradigm == paradigm], is_panel)
    ]
    return [
        Finding(claim, where(group, group[0].paradigm), tuple(measures(group)), _missing(group)) for group in groups
    ]


def _candidates(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.strategy in ("uniform", *SELECTORS) and run.paradigm in PARADIGMS]


def _whole_panels(runs: Sequence[Run]) -> list[list[Run]]:
    return designs(_candidates(runs), is_panel, ["paradigm"])


def is_panel(group: Sequence[Run]) -> bool:
    """Return whether there is a selector, and the plain loop to compare it with."""
    return has("uniform")(group) and any(run.strategy in SELECTORS for run in group)


def _missing(group: Sequence[Run]) -> str:
    there = {run.strategy for run in group}
    lacking = [name for name in SELECTORS if name not in there]
    return f"no runs of {', '.join(lacking)}" if lacking else ""


def _against_uniform(
    group: Sequence[Run],
    metric: str,
    statistic: Callable[[float, float], float],
    criterion: Criterion | None,
    prefix: str = "",
) -> list[Measure]:
    """Return a measure for each selector that was run; names begin with the paradigm if one is given."""
    start = f"{prefix}, " if prefix else ""
    there = {run.strategy for run in group}
    uniform = of(group, "uniform")
    return [
        compare(
            metric, (f"{start}{name}", of(group, name)), ("uniform", uniform), statistic, criterion,
            _papers(group, metric, name),
        )
        for name in SELECTORS
        if name in there
    ]  # fmt: skip


def _harm(parts: Sequence[Sequence[Run]]) -> list[Measure]:
    """Return the differences of other measures that speak against selection in every seed."""
    differences = [
        measure
        for part in parts
        for metric in BETTER_HIGH
        for measure in _against_uniform(part, metric, difference, None, part[0].paradigm)
    ]
    return [measure for measure in differences if measure.by_seed and max(measure.by_seed.values()) < 0]


def _papers(group: Sequence[Run], metric: str, strategy: str) -> str:
    """Return the paper's value of a selector's quotient, if it has one for this data set, paradigm and space."""
    run, place = group[0], SELECTORS.index(strategy)
    if metric == REAL_SHARE:
        return _papers_share(run, place)
    known = PAPERS_FID.get((run.data, run.paradigm))
    if known is None or not metric.startswith("quality/") or space_of(metric, run) != TORCHVISION:
        return ""
    iteration, vanilla, *selected = known
    return f"{selected[place] / vanilla:.3f} ({selected[place]:g} / {vanilla:g}, generation {iteration})"


def _papers_share(run: Run, place: int) -> str:
    if run.data not in PAPERS_SHARE or run.space != DINO:
        return ""
    share = PAPERS_SHARE[run.data][place]
    return f"{share / 0.125:.2f} ({share:g} / 0.125, generation 8)"
