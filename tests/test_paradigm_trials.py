"""Whole loops under each paradigm, real in every part: what their models train on, and what is shared."""

from pathlib import Path
from typing import Any

from tiny import manifests, run, tiny

from raycollapse.config import Experiment
from raycollapse.plan import stages_of


def counts(folder: Path) -> list[dict[str, int]]:
    """Return, for each train set that was selected, how many images it has of each generation; in loop order."""
    made = [manifest for manifest in manifests(folder).values() if manifest.kind == "select"]
    made.sort(key=lambda manifest: manifest.identity["seed"][1])  # type: ignore[index, return-value]
    return [manifest.facts["num_per_generation"] for manifest in made]  # type: ignore[misc]


def real_shares(experiment: Experiment) -> list[float]:
    return [record.metrics["selection/real_share"] for record in run(experiment)]


# Window


def test_the_real_data_fall_out_of_a_window_unless_they_are_kept(tmp_path: Path) -> None:
    own: dict[str, Any] = {"selection": "uniform", "num_generations": 4}
    falling = tiny(tmp_path / "falling", paradigm={"name": "window", "num_newest": 2}, **own)
    assert real_shares(falling) == [1.0, 0.5, 0.0, 0.0]
    assert counts(tmp_path / "falling") == [{"0": 20, "1": 20}, {"1": 20, "2": 20}, {"2": 20, "3": 20}]
    kept = tiny(tmp_path / "kept", paradigm={"name": "window", "num_newest": 1, "keep_real": True}, **own)
    assert real_shares(kept) == [1.0, 0.5, 0.5, 0.5]
    assert counts(tmp_path / "kept") == [{"0": 20, "1": 20}, {"0": 20, "2": 20}, {"0": 20, "3": 20}]


def test_a_window_shares_every_stage_with_accumulate_until_a_generation_falls_out() -> None:
    where, changes = Path("/nowhere"), {"num_generations": 4}
    window = stages_of(tiny(where, paradigm={"name": "window", "num_newest": 3}, **changes))
    accumulate = stages_of(tiny(where, paradigm="accumulate", **changes))
    parted = {(kind, stage.full_identity["seed"][1]) for (kind, key), stage in window.items()  # type: ignore[index]
              if kind in ("select", "train") and (kind, key) not in accumulate}  # fmt: skip
    assert parted == {("select", 3), ("train", 4)}
