"""What a report shows: whatever was recorded, in an order and under names that people can read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from PIL import Image
from rich.console import Console

from raycollapse.metrics import AnyMetric, Points
from raycollapse.report import collect
from raycollapse.report.figures import draw
from raycollapse.report.panels import COMPANIONS, MAIN, OTHERS, measured, panels_of
from raycollapse.report.tables import rich_table, summarize
from raycollapse.store import Store
from raycollapse.tracking import TrialRecords

MakeExperiment = Callable[..., list[TrialRecords]]

RECORDED = {
    "memorization/generalization_ratio": 0.7, "memorization/generalization_ratio_num_held_out": 512.0,
    "memorization/ct": -3.5, "memorization/ct_num_cells": 9.0, "memorization/authenticity": 0.4,
    "memorization/authenticity_held_out": 0.5, "memorization/duplicates": 0.02,
    "memorization/duplicates_held_out": 0.01, "memorization/duplicates_threshold": 55.0, "quality/kd": 0.3,
    "quality/kd_deviation": 0.01, "quality/kd_floor": 0.002, "quality/kd_floor_num": 512.0, "quality/precision": 0.6,
    "quality/density": 0.7, "diversity/recall": 0.5, "diversity/coverage": 0.8, "diversity/vendi_train_set": 8.0,
    "diversity/vendi_synthetic": 7.0,
}  # fmt: skip
SPACES = {"quality/fd_dinov2": 300.0, "quality/fd_floor_dinov2": 90.0, "quality/fd_floor_num_dinov2": 512.0,
          "entropy/synthetic_dinov2": 3.0}  # fmt: skip


@pytest.fixture
def frame(store: Store, make_experiment: MakeExperiment) -> pd.DataFrame:
    points = [("replace", "uniform"), ("accumulate", "greedy")]
    make_experiment(points=points, replaced={**RECORDED, **SPACES, "theirs/novelty": 3.0, "theirs/charm": 2.0})
    return collect(store, ["q"])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """The axes that were titled, in order."""
    axes: list[Axes] = []
    original = Axes.set_title

    def note(self: Axes, *args: Any, **options: Any) -> Any:
        axes.append(self)
        return original(self, *args, **options)

    monkeypatch.setattr(Axes, "set_title", note)
    return axes


def test_the_papers_three_come_first_then_ours_then_other_spaces_then_other_packages(frame: pd.DataFrame) -> None:
    assert [panel.metric for panel in panels_of(frame)] == [
        "memorization/generalization_score", "entropy/train_set", "quality/fd", "memorization/generalization_ratio",
        "memorization/ct", "memorization/authenticity", "memorization/duplicates", "quality/kd", "quality/precision",
        "diversity/recall", "quality/density", "diversity/coverage", "diversity/vendi_train_set", "quality/fd_dinov2",
        "theirs/charm", "theirs/novelty",
    ]  # fmt: skip


def test_everything_that_built_in_metrics_record_is_a_panel_or_belongs_to_one() -> None:
    rng = np.random.default_rng(0)
    sets = [Points(rng.normal(size=(400, 3)).astype(np.float32), np.zeros(400, np.int64)) for _ in range(4)]
    union = AnyMetric.__origin__  # type: ignore[attr-defined]
    recorded = {name for member in union.__args__ for name, _ in member().measure(*sets)}
    assert recorded == {panel.metric for panel in (*MAIN, *OTHERS)} | COMPANIONS
    assert {panel.floor for panel in (*MAIN, *OTHERS) if panel.floor} <= COMPANIONS


def test_three_panels_make_a_row_and_every_panel_is_drawn_with_its_own_space(
    frame: pd.DataFrame, drawn: list[Axes], tmp_path: Path
) -> None:
    draw(frame, tmp_path / "all.png")
    assert [axes.get_title(loc="left") for axes in drawn] == [panel.title for panel in panels_of(frame)]
    spaces = [axes.get_ylabel().partition("space: ")[2].partition(",")[0] for axes in drawn]
    assert spaces == ["pixels"] * 13 + ["dinov2"] + ["pixels"] * 2
    with Image.open(tmp_path / "all.png") as image:
        width, height = image.size
    draw(frame[[name for name in frame.columns if name not in {**RECORDED, **SPACES} and "theirs" not in name]],
         tmp_path / "three.png")  # fmt: skip
    with Image.open(tmp_path / "three.png") as image:
        assert image.width == width
        assert 5 * image.height < height < 6 * image.height  # six rows over one legend


def test_floors_and_what_new_images_would_score_are_drawn_where_they_are(
    frame: pd.DataFrame, drawn: list[Axes], tmp_path: Path
) -> None:
    draw(frame, tmp_path / "all.png")
    levels = {axes.get_title(loc="left"): levels_of(axes) for axes in drawn if levels_of(axes)}
    assert levels == {
        "Fréchet distance to the real images": [90.0],  # of the other space, drawn after the first
        "Kernel distance to the real images": [0.002], "Generalization ratio": [1.0], "Density": [1.0],
        "Data-copying test C_T": [0.0],
    }  # fmt: skip
    assert [levels_of(axes) for axes in drawn if axes.get_title(loc="left").startswith("Fréchet")] == [[7400.0], [90.0]]


def test_a_floor_that_was_not_recorded_is_not_drawn(frame: pd.DataFrame, drawn: list[Axes], tmp_path: Path) -> None:
    draw(frame.drop(columns=["quality/kd_floor"]), tmp_path / "without.png")
    (kernel,) = (axes for axes in drawn if axes.get_title(loc="left").startswith("Kernel"))
    assert levels_of(kernel) == []


def levels_of(axes: Axes) -> list[float]:
    """Return where lines from edge to edge are drawn."""
    lines = [np.asarray(line.get_data(), float) for line in axes.lines]
    return [float(y[0]) for x, y in lines if x.tolist() == [0, 1]]


def test_a_metric_that_only_companions_were_recorded_of_has_no_panel(
    store: Store, make_experiment: MakeExperiment
) -> None:
    make_experiment(points=[("replace", "uniform")], replaced={"memorization/ct_num_cells": 0.0})
    assert panels_of(collect(store, ["q"])) == list(MAIN)


def test_the_table_has_a_column_for_each_and_the_terminal_the_first_three(frame: pd.DataFrame, tmp_path: Path) -> None:
    heading = summarize(frame).heading
    assert heading == ["paradigm, strategy", *(panel.column for panel in panels_of(frame)), "real share at last"]
    assert "Fréchet distance (dinov2)" in heading
    others = frame.drop(columns=[panel.metric for panel in MAIN])
    for shown, first in ((frame, "GS"), (others, "ratio")):
        console = Console(width=80, record=True, file=(tmp_path / "out").open("w"))
        console.print(rich_table(shown))
        text = console.export_text()
        assert first in text and "…" not in text and max(map(len, text.splitlines())) <= 80


def test_a_metric_that_is_infinite_throughout_is_told_though_it_cannot_be_drawn(frame: pd.DataFrame) -> None:
    infinite = frame.assign(**{"quality/kd": np.inf})
    assert "quality/kd" in {panel.metric for panel in measured(infinite)}
    assert "quality/kd" not in {panel.metric for panel in panels_of(infinite)}
    assert "inf → inf" in summarize(infinite).rows[0]
