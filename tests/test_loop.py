"""The loop itself, told in the order of its verbs, with sets that only know their names."""

from collections.abc import Mapping
from typing import Any

import pytest

from raycollapse.loop import collapse
from raycollapse.paradigms import Accumulate, Paradigm, Replace
from raycollapse.stages.imagesets import ImageSet, TrainSet

REAL, HELD_OUT = ImageSet((), 4, 0), ImageSet((), 2, 0)


class Diary:
    """Carries nothing out, and writes down what it is asked for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pools: list[tuple[ImageSet, ...]] = []
        self.trained_on: list[TrainSet] = []
        self.measured: list[tuple[Any, ...]] = []

    def real_data(self) -> tuple[ImageSet, ImageSet]:
        self.lines.append("real")
        return REAL, HELD_OUT

    def train(self, train_set: TrainSet, generation: int, previous: str | None) -> str:
        self.lines.append(f"train {generation}" + (f" after {previous}" if previous else ""))
        self.trained_on.append(train_set)
        return f"snapshot {generation}"

    def sample(self, snapshot: str, generation: int, is_last: bool) -> ImageSet:
        self.lines.append(f"sample {generation} from {snapshot}{', the last' if is_last else ''}")
        return ImageSet((), 4, generation)

    def measure(
        self, real: ImageSet, held_out: ImageSet, train_set: TrainSet, synthetic: ImageSet
    ) -> Mapping[str, float]:
        self.lines.append(f"measure {synthetic.generation}")
        self.measured.append((real, held_out, train_set, synthetic))
        return {"generation": synthetic.generation}

    def record(self, generation: int, metrics: Mapping[str, float]) -> None:
        self.lines.append(f"record {generation}: {metrics['generation']}")

    def select(self, pool: tuple[ImageSet, ...], generation: int) -> TrainSet:
        self.lines.append(f"select {generation}")
        self.pools.append(pool)
        return TrainSet(pool, f"picks of {generation}")


def diary(paradigm: Paradigm, num_generations: int) -> Diary:
    verbs = Diary()
    collapse(verbs, paradigm, num_generations)
    return verbs


def test_two_generations_read_like_the_papers_algorithm() -> None:
    assert diary(Replace(), 2).lines == [
        "real",
        "train 1", "sample 1 from snapshot 1", "measure 1", "record 1: 1", "select 1",
        "train 2 after snapshot 1", "sample 2 from snapshot 2, the last", "measure 2", "record 2: 2",
    ]  # fmt: skip


def test_generation_1_trains_on_all_real_images_and_on_nothing_else() -> None:
    assert diary(Replace(), 1).trained_on == [TrainSet((REAL,))]


def test_each_model_trains_on_what_was_selected_after_the_one_before() -> None:
    verbs = diary(Accumulate(), 3)
    assert [train_set.selection for train_set in verbs.trained_on] == [None, "picks of 1", "picks of 2"]


@pytest.mark.parametrize(
    ("paradigm", "expected"), [(Replace(), [[1], [2], [3]]), (Accumulate(), [[0, 1], [0, 1, 2], [0, 1, 2, 3]])]
)
def test_the_pool_is_what_the_paradigm_makes_of_the_history(paradigm: Paradigm, expected: list[list[int]]) -> None:
    pools = diary(paradigm, 4).pools
    assert [[one.generation for one in pool] for pool in pools] == expected


def test_a_generation_is_measured_against_its_own_train_set() -> None:
    verbs = diary(Replace(), 3)
    assert [train_set for _, _, train_set, _ in verbs.measured] == verbs.trained_on
    assert all(measured[:2] == (REAL, HELD_OUT) for measured in verbs.measured)


def test_after_the_last_generation_nothing_is_selected() -> None:
    assert diary(Replace(), 4).lines.count("select 4") == 0
    assert len(diary(Replace(), 4).pools) == 3
