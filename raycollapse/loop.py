"""The self-consuming loop of arXiv 2509.16499: train, sample, measure, record, select, and again.

It knows no cluster, no framework, no file: each verb is a stage that somebody else carries out (see `trial.py`).
"""

from collections.abc import Mapping
from typing import Protocol

from raycollapse.paradigms import Paradigm
from raycollapse.stages.imagesets import ImageSet, TrainSet


class Verbs(Protocol):
    """What the loop asks for. Each verb returns a reference; the work lies in the store."""

    def real_data(self) -> tuple[ImageSet, ImageSet]:
        """Return generation 0: the real train set and the held-out images."""

    def train(self, train_set: TrainSet, generation: int, previous: str | None) -> str:
        """Return the snapshot of a model trained on the set: from scratch, or from the previous one where asked for."""

    def sample(self, snapshot: str, generation: int, is_last: bool) -> ImageSet:
        """Return the synthetic set; the last generation's is only measured, so it needs no more than N images."""

    def measure(
        self, real: ImageSet, held_out: ImageSet, train_set: TrainSet, synthetic: ImageSet
    ) -> Mapping[str, float]:
        """Return the metrics of this generation, each at N samples."""

    def record(self, generation: int, metrics: Mapping[str, float]) -> None:
        """Keep the metrics of this generation where people look."""

    def select(self, pool: tuple[ImageSet, ...], generation: int) -> TrainSet:
        """Return the next train set, chosen from the pool."""


def collapse(verbs: Verbs, paradigm: Paradigm, num_generations: int) -> None:
    """Run the loop."""
    real, held_out = verbs.real_data()
    history, train_set, snapshot = [real], TrainSet((real,)), None
    for generation in range(1, num_generations + 1):
        is_last = generation == num_generations
        snapshot = verbs.train(train_set, generation, snapshot)
        synthetic = verbs.sample(snapshot, generation, is_last)
        verbs.record(generation, verbs.measure(real, held_out, train_set, synthetic))
        if not is_last:
            history.append(synthetic)
            train_set = verbs.select(paradigm.pool(history), generation)
