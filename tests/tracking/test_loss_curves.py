"""Loss curves over generations, and single files of stages."""

import json
from pathlib import Path
from typing import Any

from raycollapse.store import Store
from raycollapse.tracking import GenerationRecord
from raycollapse.tracking.loss_curves import missing_curves
from raycollapse.tracking.stage_files import read_stage_file


def commit_curve(store: Store, generation: int, steps: list[int]) -> GenerationRecord:
    def write(folder: Path) -> dict[str, Any]:
        (folder / "loss.json").write_text(json.dumps([{"step": step, "loss": float(generation)} for step in steps]))
        (folder / "weights").write_bytes(b"w" * 100)
        return {}

    key = f"{generation:064d}"
    store.commit("train", key, {}, write)
    return GenerationRecord(generation=generation, metrics={}, stages={"train": f"train/{key}"})


def steps_of(
    store: Store, records: list[GenerationRecord], known: dict[int, int], usual: int | None
) -> list[list[int]]:
    return [[point.step for point in curve.points] for curve in missing_curves(store, records, known, usual).values()]


def test_steps_are_counted_over_generations_of_different_lengths(store: Store) -> None:
    records = [commit_curve(store, 1, [5, 10]), commit_curve(store, 2, [10, 20]), commit_curve(store, 3, [5, 10])]
    assert steps_of(store, records, {}, None) == [[5, 10], [20, 30], [35, 40]]


def test_a_curve_that_is_known_counts_and_is_not_returned(store: Store) -> None:
    records = [commit_curve(store, 1, [5, 10]), commit_curve(store, 2, [10])]
    assert steps_of(store, records, {1: 10}, None) == [[20]]


def test_after_a_curve_that_is_gone_the_usual_number_of_steps_is_counted(store: Store) -> None:
    records = [commit_curve(store, 1, [10]), commit_curve(store, 2, [10])]
    store.remove("train", f"{1:064d}")
    assert steps_of(store, records, {}, 10) == [[20]]


def test_after_a_curve_that_is_gone_nothing_is_guessed(store: Store) -> None:
    records = [commit_curve(store, 1, [10]), commit_curve(store, 2, [10])]
    store.remove("train", f"{1:064d}")
    assert steps_of(store, records, {}, None) == []


def test_a_generation_that_was_given_took_no_steps(store: Store) -> None:
    given = GenerationRecord(generation=1, metrics={}, stages={"given": "given/key"})
    records = [given, commit_curve(store, 2, [5, 10]), commit_curve(store, 3, [10])]
    assert steps_of(store, records, {}, None) == steps_of(store, records, {}, 10) == [[5, 10], [20]]


def test_a_stage_file_is_returned_only_as_it_was_written(store: Store) -> None:
    record = commit_curve(store, 1, [10])
    stage = record.stages["train"]
    assert read_stage_file(store, stage, "loss.json") == b'[{"step": 10, "loss": 1.0}]'
    assert read_stage_file(store, stage, "nothing.json") is None
    assert read_stage_file(store, "train/unknown", "loss.json") is None
    assert store.local_root is not None
    (path,) = store.local_root.glob("stages/train/*/*/loss.json")
    path.write_bytes(path.read_bytes().replace(b"1.0", b"2.0"))
    assert read_stage_file(store, stage, "loss.json") is None
