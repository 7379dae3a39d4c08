"""Collected records as runs, put together with what they may be compared with."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raycollapse.report.collect import SETTING, metric_names

if TYPE_CHECKING:
    import pandas as pd

PAPERS_DECAY = 0.95
"""Of several decays of the threshold this one is compared with other strategies (paper, Section 5)."""

Seeds = Mapping[int, "Run"]
"""The replicates of one configuration, by seed."""


@dataclass(frozen=True)
class Run:
    """One trial, whichever experiments it is part of."""

    data: str
    space: str
    num_train: int
    paradigm: str
    strategy: str
    seed: int
    settings: Mapping[str, Any]
    """Dotted path -> value, of the settings that differ between any of the collected trials."""
    values: Mapping[str, Mapping[int, float]]
    """Metric -> generation -> value; what is not a number is left out."""

    def series(self, metric: str) -> Mapping[int, float]:
        """Return the metric's values by generation, in order; nothing if it was not recorded."""
        return self.values.get(metric, {})

    def last(self) -> int:
        """Return the last generation that has any value."""
        return max((generation for own in self.values.values() for generation in own), default=0)

    def setup(self, varied: Sequence[str] = ()) -> tuple[Any, ...]:
        """Return what two runs must agree in to be compared: all but the strategy, its settings and the seed.

        Args:
            varied: what else may differ: `paradigm` with its settings, `data.num_train`, or any other path.
        """
        size = [] if "data.num_train" in varied else [self.num_train]
        paradigm = [] if "paradigm" in varied else [self.paradigm]
        loose = {"selection", *varied}
        settings = [(p, v) for p, v in self.settings.items() if p not in loose and p.partition(".")[0] not in loose]
        return (self.data, self.space, *size, *paradigm, *sorted(settings, key=lambda pair: pair[0]))


def runs_of(frame: "pd.DataFrame") -> list[Run]:
    """Return the trials of a collected frame. One that several experiments share is one run, with all its metrics.

    Unless they set it up differently: a setting that changes nothing in a trial, such as the reserve of fresh images of
    a loop that takes none, is not in its key. Then it is a run in each of these setups.
    """
    settings = [name for name in frame.columns if name.startswith(SETTING)]
    runs = []
    for _, trial in frame.groupby("trial_key", sort=False):
        values = {metric: _values(trial, metric) for metric in metric_names(trial)}
        for _, row in trial.drop_duplicates(settings or "trial_key").iterrows():
            own = {name.removeprefix(SETTING): row[name] for name in settings if not _is_missing(row[name])}
            runs.append(
                Run(
                    str(row["data"]), str(row["space"]), int(row["num_train"]), str(row["paradigm"]),
                    str(row["strategy"]), int(row["seed"]), own, values,
                )
            )  # fmt: skip
    return runs


def _is_missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _values(own: "pd.DataFrame", metric: str) -> dict[int, float]:
    known = own[["generation", metric]].dropna().sort_values("generation")
    return {int(generation): float(value) for generation, value in zip(known["generation"], known[metric], strict=True)}


def designs(
    runs: Iterable[Run], is_complete: Callable[[Sequence[Run]], bool], varied: Sequence[str] = ()
) -> list[list[Run]]:
    """Return, for each data set and space, the runs of the one setup that has most of them (then the largest N).

    Only setups whose runs are complete are looked at: that is, have all that a claim is about. The other setups of a
    data set (guided models, say, beside plain ones) would tell the same claim again.
    """
    groups: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.setup(varied)].append(run)
    best: dict[tuple[str, str], list[Run]] = {}
    for group in filter(is_complete, groups.values()):
        place = group[0].data, group[0].space
        best[place] = max(best.get(place, group), group, key=_weight)
    return list(best.values())


def _weight(group: Sequence[Run]) -> tuple[int, int]:
    return len(group), max(run.num_train for run in group)


def has(*strategies: str) -> Callable[[Sequence[Run]], bool]:
    """Return whether a group has runs of all these strategies."""
    return lambda group: set(strategies) <= {run.strategy for run in group}


def of(runs: Iterable[Run], strategy: str) -> Seeds:
    """Return the replicates of a strategy: of its variants the paper's decay, then the one with most seeds."""
    variants = by_variant(run for run in runs if run.strategy == strategy)
    papers = [own for own in variants if _decay(own) == PAPERS_DECAY]
    return max(papers or variants, key=len, default={})


def by_variant(runs: Iterable[Run]) -> list[Seeds]:
    """Return the replicates of each variant of strategy and paradigm.

    Of two runs with the same seed, as two versions of this package leave them, the one with more generations counts.
    """
    variants: dict[Any, dict[int, Run]] = defaultdict(dict)
    for run in sorted(runs, key=Run.last):
        settings = {p: v for p, v in run.settings.items() if p.partition(".")[0] in ("selection", "paradigm")}
        variants[run.paradigm, run.strategy, tuple(sorted(settings.items()))][run.seed] = run
    return list(variants.values())


def _decay(own: Seeds) -> Any:
    return next(iter(own.values())).settings.get("selection.decay")
