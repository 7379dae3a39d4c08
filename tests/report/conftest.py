"""Experiments as records alone, with values like those of the first real experiment (digits, N = 512)."""

from collections.abc import Callable
from typing import Any

import pytest

from raycollapse.config import build
from raycollapse.store import Store
from raycollapse.tracking import GenerationRecord, TrialRecords

RAW: dict[str, Any] = {
    "data": {"name": "digits", "num_train": 512},
    "denoiser": "mlp",
    "training": {"num_steps": 100, "warmup_steps": 5},
    "features": "pixels",
    "metrics": ["entropy", "generalization", "frechet"],
}

ENDS = {
    ("replace", "uniform"): (183, 301, 110_900, 0.0),
    ("replace", "greedy"): (231, 319, 86_400, 0.0),
    ("replace", "threshold_decay"): (229, 318, 88_000, 0.0),
    ("accumulate", "uniform"): (253, 323, 60_600, 0.25),
    ("accumulate", "greedy"): (315, 342, 40_300, 0.51),
    ("accumulate", "threshold_decay"): (313, 342, 42_300, 0.49),
}
"""Paradigm, strategy -> generalization score, entropy, Frechet distance, real share of the last generation."""

MakeExperiment = Callable[..., list[TrialRecords]]


def metrics_at(end: tuple[float, ...], seed: int, generation: int, num_generations: int) -> dict[str, float]:
    """Return metrics on the straight line from generation 1, which all share, to the last."""
    start = (359.0, 327.0, 27_600.0, 1.0)
    share = (generation - 1) / max(num_generations - 1, 1)
    score, entropy, distance, real = (a + (b - a) * share for a, b in zip(start, end, strict=True))
    spread = 1 + 0.01 * seed
    return {
        "memorization/generalization_score": score * spread,
        "entropy/train_set": entropy * spread,
        "quality/fd": distance * spread,
        "quality/fd_floor": 7_400.0,
        "selection/real_share": real,
        "cost/train_seconds": 9.0,
    }


@pytest.fixture
def store(tmp_path: object) -> Store:
    """An empty storage."""
    return Store(f"{tmp_path}/results")


@pytest.fixture
def make_experiment(store: Store) -> MakeExperiment:
    """Return a function that records an experiment: its points, seeds, generations; metrics to leave out or replace."""

    def make(
        name: str = "q",
        points: list[tuple[str, str]] | None = None,
        seeds: tuple[int, ...] = (0,),
        num_generations: int = 4,
        without: tuple[str, ...] = (),
        replaced: dict[str, float] | None = None,
        **fields: Any,
    ) -> list[TrialRecords]:
        trials = []
        for paradigm, strategy in points or ENDS:
            for seed in seeds:
                raw = {**RAW, "name": name, "seed": seed, "paradigm": paradigm, "selection": strategy, **fields}
                experiment = build({**raw, "num_generations": num_generations, "storage": store.uri})
                trial = TrialRecords(store, name, experiment.trial_key())
                trial.write_config(experiment.resolved())
                for generation in range(1, num_generations + 1):
                    values = metrics_at(ENDS[paradigm, strategy], seed, generation, num_generations)
                    kept = {name: value for name, value in values.items() if name not in without}
                    metrics = {**kept, **(replaced or {})}
                    trial.add(GenerationRecord(generation=generation, metrics=metrics, stages={}))
                trials.append(trial)
        return trials

    return make
