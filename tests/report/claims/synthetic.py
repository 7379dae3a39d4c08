"""Runs with metrics that are given as functions of generation and seed, so that every statistic is known."""

from collections.abc import Callable, Mapping
from typing import Any

from raycollapse.report.claims import Finding, Measure
from raycollapse.report.claims.runs import Run

Curve = Callable[[int, int], float]
"""(generation, seed) -> value"""


def make_runs(
    paradigm: str = "replace",
    strategy: str = "uniform",
    *,
    seeds: tuple[int, ...] = (0, 1, 2),
    num_generations: int = 8,
    num_train: int = 512,
    data: str = "digits",
    space: str = "pixels",
    settings: Mapping[str, Any] | None = None,
    **curves: Curve,
) -> list[Run]:
    """Return the replicates of one configuration; metrics have `__` for the slash of their names."""
    generations = range(1, num_generations + 1)
    return [
        Run(
            data, space, num_train, paradigm, strategy, seed, settings or {},
            {n.replace("__", "/"): {g: curve(g, seed) for g in generations} for n, curve in curves.items()},
        )
        for seed in seeds
    ]  # fmt: skip


def towards(last: float, spread: float = 0.0, first: float = 100.0) -> Curve:
    """Return a curve from `first` in generation 1 on a straight line to `last` in generation 8; seeds differ there."""
    return lambda g, seed: first + (last + spread * (seed - 1) - first) * (g - 1) / 7


def only(findings: list[Finding]) -> Finding:
    """Return the only finding."""
    (finding,) = findings
    return finding


def measure(finding: Finding, text: str) -> Measure:
    """Return the only measure whose statistic contains a text."""
    (found,) = [measure for measure in finding.measures if text in measure.statistic]
    return found
