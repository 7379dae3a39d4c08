"""The loss curves of a trial's generations on one axis: optimizer steps over all generations."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from raycollapse.store import Store
from raycollapse.tracking.projection import Point, milliseconds
from raycollapse.tracking.records import GenerationRecord
from raycollapse.tracking.stage_files import read_stage_file

LOSS = "train/loss"


@dataclass(frozen=True)
class LossCurve:
    """One generation's curve."""

    points: list[Point]
    num_steps: int
    """Optimizer steps of this generation."""

    def without(self, steps: Set[int]) -> "LossCurve":
        """Return it without the points at these steps."""
        return LossCurve([point for point in self.points if point.step not in steps], self.num_steps)


def missing_curves(
    store: Store, records: Sequence[GenerationRecord], known: Mapping[int, int], usual_steps: int | None
) -> dict[int, LossCurve]:
    """Return, by generation, the curves that are not known yet.

    Args:
        store: where the train stages lie.
        records: a trial's generations, in order.
        known: generation -> optimizer steps, of the curves that were logged before.
        usual_steps: steps of a generation whose curve the storage has no more; none: the curves after it are left out,
            since nobody knows how many steps lie before them.
    """
    curves: dict[int, LossCurve] = {}
    before = 0
    for record in records:
        if "given" in record.stages:
            continue  # these images came from elsewhere: no steps were taken
        num_steps = known.get(record.generation, usual_steps)
        if record.generation not in known and (entries := _read(store, record)):
            num_steps = int(entries[-1]["step"])
            points = [_point(record, entry, before) for entry in entries]
            curves[record.generation] = LossCurve(points, num_steps)
        if num_steps is None:
            break
        before += num_steps
    return curves


def _point(record: GenerationRecord, entry: Mapping[str, Any], before: int) -> Point:
    return Point(LOSS, float(entry["loss"]), milliseconds(record.timestamp), before + int(entry["step"]))


def _read(store: Store, record: GenerationRecord) -> list[dict[str, Any]]:
    """Return `loss.json` of a generation's train stage: mappings with `step` and `loss`; nothing if it is not there."""
    stage = record.stages.get("train")
    content = None if stage is None else read_stage_file(store, stage, "loss.json")
    entries: list[dict[str, Any]] = [] if content is None else json.loads(content)
    return entries
