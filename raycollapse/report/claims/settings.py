"""C11 to C13: other feature spaces, guidance, fresh real data. Paper: the further experiments and the appendix."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from raycollapse.report.claims.comparing import compare, difference, quotient
from raycollapse.report.claims.finding import Criterion, Finding, Measure
from raycollapse.report.claims.places import FRECHET, frechet_metrics, space_of, where
from raycollapse.report.claims.runs import Run, Seeds, designs, has, of
from raycollapse.report.claims.selectors import PARADIGMS, SELECTORS, is_panel

GUIDANCE = "sampling.guidance_scale"
DIVERSITY = ("diversity/recall", "entropy/synthetic")
"""What stands for the diversity of samples: a share of the real images, and nats."""


def other_spaces_agree(runs: Sequence[Run]) -> list[Finding]:
    """C11: the Frechet distance in another feature space tells the same story.

    The story of a seed is a list of comparisons: in each paradigm, each selector against `uniform` at the last
    generation, and `uniform` at the last generation against its first. Per other space and seed: the share of
    comparisons in which its distance and the reference, which is the FID or else the distance in the selection's space,
    rise or fall alike; it must be 1. The paper has it for FID and DINOv2 (replace 640 to 1,801 vanilla, 1,128 Greedy;
    accumulate 1,131 against 859 after 7 iterations), without saying for which data set, so no value stands beside ours.
    """
    own = [run for run in runs if run.paradigm in PARADIGMS and run.strategy in ("uniform", *SELECTORS)]
    findings = []
    for group in designs(own, is_panel, ["paradigm"]):
        reference, *_ = frechet_metrics(group)
        others = [metric for metric in _distances(group) if metric != reference]
        measures = tuple(_agreement(group, reference, other) for other in others)
        if measures:
            findings.append(Finding("C11", where(group), measures))
    return findings


def _distances(group: Sequence[Run]) -> list[str]:
    """Return the Frechet distances that were recorded, without floors and their counts."""
    names = dict.fromkeys(name for run in group for name, values in run.values.items() if values)
    return [name for name in names if name == "quality/fid" or _is_distance(name)]


def _is_distance(name: str) -> bool:
    return name == FRECHET or (name.startswith(f"{FRECHET}_") and not name.startswith(f"{FRECHET}_floor"))


def _agreement(group: Sequence[Run], reference: str, other: str) -> Measure:
    spaces = [space_of(metric, group[0]) for metric in (other, reference)]
    text = f"share of comparisons in which {spaces[0]} and {spaces[1]} agree"
    seeds: dict[int, list[bool]] = {}
    for ours, theirs in _comparisons(group):
        for seed in ours.keys() & theirs.keys():
            agree = list(_agree(ours[seed], theirs[seed], reference, other))
            seeds[seed] = seeds.get(seed, []) + agree
    values = {seed: sum(agree) / len(agree) for seed, agree in sorted(seeds.items()) if agree}
    return Measure(text, values, Criterion(">", 0.999), "", "" if values else "no seed has both after generation 1")


def _comparisons(group: Sequence[Run]) -> Iterator[tuple[Seeds, Seeds]]:
    """Yield what is compared; `uniform` with itself stands for last against first generation."""
    for paradigm in PARADIGMS:
        part = [run for run in group if run.paradigm == paradigm]
        uniform = of(part, "uniform")
        yield uniform, uniform
        for name in SELECTORS:
            yield of(part, name), uniform


def _agree(ours: Run, theirs: Run, reference: str, other: str) -> Iterator[bool]:
    """Yield whether two distances order a pair of runs alike, at the last generation at which both runs have both."""
    shared = set.intersection(*(set(run.series(metric)) for run in (ours, theirs) for metric in (reference, other)))
    if max(shared, default=0) < 2:
        return
    last, first = max(shared), min(shared)
    before = {metric: theirs.series(metric)[first if ours is theirs else last] for metric in (reference, other)}
    after = {metric: ours.series(metric)[last] for metric in (reference, other)}
    yield (after[reference] > before[reference]) == (after[other] > before[other])


def guidance_costs_diversity(runs: Sequence[Run]) -> list[Finding]:
    """C12: classifier-free guidance lowers diversity, TDF restores it.

    Of `uniform` and `threshold_decay` at the least and the largest guidance scale w that were run, per seed and at the
    last generation, for recall and the entropy of the samples: `uniform` at the large w minus `uniform` at the small
    one, < 0; `threshold_decay` at the large w minus `uniform` at the large w, > 0. The paper shows it on
    class-conditional MNIST, without a number.
    """
    findings = []
    for group in designs([run for run in runs if GUIDANCE in run.settings], _is_guided, [GUIDANCE]):
        scales = sorted({float(run.settings[GUIDANCE]) for run in group})
        low, high = ([run for run in group if run.settings[GUIDANCE] == scale] for scale in (scales[0], scales[-1]))
        recorded = [metric for metric in DIVERSITY if any(run.series(metric) for run in group)]
        measures = [measure for metric in recorded for measure in _guided(metric, low, high, scales)]
        missing = "" if has("uniform", "threshold_decay")(high) else "no runs of threshold_decay with guidance"
        missing = missing or ("" if recorded else f"none of {', '.join(DIVERSITY)} is recorded")
        findings.append(Finding("C12", where(group, group[0].paradigm), tuple(measures), missing))
    return findings


def _is_guided(group: Sequence[Run]) -> bool:
    return len({run.settings[GUIDANCE] for run in group if run.strategy == "uniform"}) > 1


def _guided(metric: str, low: Sequence[Run], high: Sequence[Run], scales: Sequence[float]) -> list[Measure]:
    small, large = f"w = {scales[0]:g}", f"w = {scales[-1]:g}"
    plain, uniform, filtered = of(low, "uniform"), of(high, "uniform"), of(high, "threshold_decay")
    return [
        compare(
            metric, (f"uniform, {large}", uniform), (f"uniform, {small}", plain), difference, Criterion("<", 0)
        ),
        compare(
            metric, (f"threshold_decay, {large}", filtered), (f"uniform, {large}", uniform), difference,
            Criterion(">", 0),
        ),
    ]  # fmt: skip


def fresh_data_help(runs: Sequence[Run]) -> list[Finding]:
    """C13: fresh real data in the loop improves quality and diversity.

    Without selection, per seed, at the last generation: FID of `fresh` over that of `replace`, < 1; recall and the
    entropy of the samples of `fresh` minus those of `replace`, > 0. Beside it, not judged, the same against `augment`,
    which shows how much of it comes from the images being new. The paper names no number.
    """
    plain = [run for run in runs if run.strategy == "uniform" and run.paradigm in ("replace", "augment", "fresh")]
    return [
        Finding("C13", where(group), tuple(_fresh(group, "replace")) + tuple(_beside(_fresh(group, "augment"))))
        for group in designs(plain, _has_fresh, ["paradigm"])
    ]


def _has_fresh(group: Sequence[Run]) -> bool:
    return {"replace", "fresh"} <= {run.paradigm for run in group}


def _fresh(group: Sequence[Run], other: str) -> list[Measure]:
    """Return how `fresh` differs from another paradigm; nothing if that was not run."""
    fresh, theirs = (of([r for r in group if r.paradigm == name], "uniform") for name in ("fresh", other))
    if not theirs:
        return []
    sides = ("fresh", fresh), (other, theirs)
    recorded = [metric for metric in DIVERSITY if any(run.series(metric) for run in group)]
    return [
        *(compare(metric, *sides, quotient, Criterion("<", 1)) for metric in frechet_metrics(group)),
        *(compare(metric, *sides, difference, Criterion(">", 0)) for metric in recorded),
    ]


def _beside(measures: Sequence[Measure]) -> list[Measure]:
    """Return measures that are shown and not judged."""
    return [replace(measure, criterion=None) for measure in measures]
