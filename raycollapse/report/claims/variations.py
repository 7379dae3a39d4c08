"""C9 and C10: how the threshold decays, and training on all that was sampled. Paper: the ablations of Section 5."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from raycollapse.report.claims.comparing import compare, last_shared, quotient
from raycollapse.report.claims.finding import Criterion, Finding, Measure
from raycollapse.report.claims.places import TORCHVISION, frechet_metrics, space_of, where
from raycollapse.report.claims.runs import Run, Seeds, by_variant, designs, has, of
from raycollapse.report.claims.selectors import PARADIGMS, SELECTORS

DECAY = "selection.decay"
MIN_DECAYS = 3


def decay_matters_little(runs: Sequence[Run]) -> list[Finding]:
    """C9: where TDF ends hardly depends on the decay.

    Per seed, at the last generation: (largest - least FID over the decays) / |FID of `uniform` - mean FID over the
    decays|, < 0.25: decays differ by less than a quarter of what selecting at all makes out. At least three decays,
    all else equal. The paper: 53 to 55.5 for 0.80, 0.90, 0.95 and 0.98, vanilla 87.1 (CIFAR, accumulate, iteration 8),
    which is 0.076 of the distance to the middle of that range.
    """
    findings = []
    for paradigm in PARADIGMS:
        own = [run for run in runs if run.paradigm == paradigm and run.strategy in ("uniform", "threshold_decay")]
        for group in designs(own, lambda group: has("uniform")(group) and len(_decays(group)) > 1):
            decays = _decays(group)
            few = f"{len(decays)} decays; {MIN_DECAYS} at least are needed" if len(decays) < MIN_DECAYS else ""
            measures = tuple(_decay_spread(group, decays, metric) for metric in frechet_metrics(group))
            told = f"decays {', '.join(f'{decay:g}' for decay in decays)}"
            findings.append(Finding("C9", where(group, paradigm, told), measures, few))
    return findings


def _decays(group: Sequence[Run]) -> dict[float, Seeds]:
    """Return the replicates of each decay; of several families of variants that differ in it alone, the largest."""
    families: dict[Any, dict[float, Seeds]] = defaultdict(dict)
    for own in by_variant(run for run in group if run.strategy == "threshold_decay"):
        settings = dict(next(iter(own.values())).settings)
        if DECAY in settings:
            decay = float(settings.pop(DECAY))
            rest = tuple(sorted((p, v) for p, v in settings.items() if p.startswith("selection.")))
            families[rest][decay] = own
    return dict(sorted(max(families.values(), key=len, default={}).items()))


def _decay_spread(group: Sequence[Run], decays: Mapping[float, Seeds], metric: str) -> Measure:
    uniform = of(group, "uniform")
    seeds = sorted(set(uniform).intersection(*decays.values()))
    whole = {seed: [uniform[seed], *(own[seed] for own in decays.values())] for seed in seeds}
    generation = last_shared(list(whole.values()), metric)
    text = f"{metric}: range over decays / |uniform - their mean|"
    is_papers = (group[0].data, group[0].paradigm, space_of(metric, group[0])) == ("cifar10", "accumulate", TORCHVISION)
    criterion, paper = Criterion("<", 0.25), "0.076 (53 to 55.5; 87.1, generation 8)" if is_papers else ""
    if generation < 2:
        lacking = f"{metric} is not recorded for all decays and uniform after generation 1, in any seed"
        return Measure(text, {}, criterion, paper, lacking)
    by_seed = {
        seed: _relative_range(*(run.series(metric)[generation] for run in own))
        for seed, own in whole.items()
        if all(generation in run.series(metric) for run in own)
    }
    return Measure(f"{text}, generation {generation}", by_seed, criterion, paper)


def _relative_range(uniform: float, *values: float) -> float:
    """Return the range of the values in units of their mean's distance to `uniform`.

    >>> _relative_range(10.0, 4.0, 5.0, 6.0)
    0.4
    """
    return quotient(max(values) - min(values), abs(uniform - sum(values) / len(values)))


def twice_as_many(runs: Sequence[Run]) -> list[Finding]:
    """C10: training on 2N samples is better than on N of them, but worse than on N that are selected of the 2N.

    Under `replace`, per seed, at the last generation: FID of `keep_all` over that of `uniform`, < 1; FID of each
    selector over that of `keep_all`, < 1. The paper: 134, 155.8 and Greedy 97.1 (CIFAR, iteration 6).
    """
    own = [run for run in runs if run.paradigm == "replace" and run.strategy in ("uniform", "keep_all", *SELECTORS)]
    findings = []
    for group in designs(own, has("uniform", "keep_all")):
        there = [name for name in SELECTORS if has(name)(group)]
        measures = [measure for metric in frechet_metrics(group) for measure in _order(group, metric, there)]
        missing = "" if there else f"no runs of {' or '.join(SELECTORS)}"
        findings.append(Finding("C10", where(group, "replace"), tuple(measures), missing))
    return findings


def _order(group: Sequence[Run], metric: str, selectors: Sequence[str]) -> list[Measure]:
    is_papers = (group[0].data, space_of(metric, group[0])) == ("cifar10", TORCHVISION)
    papers = {"keep_all": "0.860 (134 / 155.8, generation 6)", "greedy": "0.725 (97.1 / 134, generation 6)"}
    pairs = [("keep_all", "uniform"), *((name, "keep_all") for name in selectors)]
    return [
        compare(
            metric, (ours, of(group, ours)), (theirs, of(group, theirs)), quotient, Criterion("<", 1),
            papers.get(ours, "") if is_papers else "",
        )
        for ours, theirs in pairs
    ]  # fmt: skip
