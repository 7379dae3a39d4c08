"""The figure: panels that have something to show, the same bytes from the same records."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raycollapse.report import collect
from raycollapse.report.figures import draw, looks_of
from raycollapse.report.panels import panels_of
from raycollapse.store import Store
from raycollapse.tracking import TrialRecords

MakeExperiment = Callable[..., list[TrialRecords]]


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.size


def test_three_metrics_make_three_panels_side_by_side(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    make_experiment()
    frame = collect(store, ["q"])
    draw(frame, tmp_path / "three.png")
    draw(frame.drop(columns=["quality/fd", "quality/fd_floor"]), tmp_path / "two.png")
    draw(frame[["label", "paradigm", "space", "num_train", "trial_key", "generation", "selection/real_share"]],
         tmp_path / "one.png")  # fmt: skip
    widths = [size_of(tmp_path / f"{name}.png")[0] for name in ("one", "two", "three")]
    assert widths[1] == 2 * widths[0] and widths[2] == 3 * widths[0]
    assert len(panels_of(frame)) == 3


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)], ids=["one seed", "three seeds"])
def test_the_same_records_give_the_same_bytes(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path, seeds: tuple[int, ...]
) -> None:
    make_experiment(seeds=seeds)
    for name in ("a.png", "b.png"):
        draw(collect(store, ["q"]), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_users_matplotlib_settings_do_not_show(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    import matplotlib as mpl

    make_experiment(points=[("replace", "uniform")])
    draw(collect(store, ["q"]), tmp_path / "a.png")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "savefig.dpi": 30}):
        draw(collect(store, ["q"]), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_another_value_gives_another_figure(store: Store, make_experiment: MakeExperiment, tmp_path: Path) -> None:
    make_experiment(points=[("replace", "uniform")])
    frame = collect(store, ["q"])
    draw(frame, tmp_path / "a.png")
    draw(frame.assign(**{"quality/fd": frame["quality/fd"] + 5_000 * frame["generation"]}), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("num_generations", [1, 2])
def test_one_trial_of_few_generations_is_drawn(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path, num_generations: int
) -> None:
    make_experiment(points=[("accumulate", "greedy")], num_generations=num_generations)
    draw(collect(store, ["q"]), tmp_path / "f.png")
    with Image.open(tmp_path / "f.png") as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_metric_without_a_finite_value_has_no_panel(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path, value: float
) -> None:
    make_experiment(replaced={"entropy/train_set": value})
    frame = collect(store, ["q"])
    assert [panel.metric for panel in panels_of(frame)] == ["memorization/generalization_score", "quality/fd"]
    draw(frame, tmp_path / "f.png")


def test_a_value_that_is_not_finite_leaves_a_gap_and_no_warning(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    make_experiment(points=[("replace", "uniform")], seeds=(0, 1))
    frame = collect(store, ["q"])
    frame.loc[1, "quality/fd"], frame.loc[2, "quality/fd"] = math.nan, math.inf
    draw(frame, tmp_path / "f.png")
    assert [str(warning.message) for warning in recwarn if "raycollapse" in warning.filename] == []


def test_values_over_decades_and_negative_entropies_are_drawn(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    make_experiment(points=[("replace", "uniform")])
    frame = collect(store, ["q"])
    wide = frame.assign(**{
        "memorization/generalization_score": 10.0 ** -frame["generation"], "entropy/train_set": -frame["generation"],
    })  # fmt: skip
    draw(wide, tmp_path / "f.png")
    assert size_of(tmp_path / "f.png")[0] > 1500


def test_colour_stands_for_the_strategy_and_line_style_for_the_paradigm(
    store: Store, make_experiment: MakeExperiment
) -> None:
    make_experiment()
    lines = {label: look.line() for label, look in looks_of(collect(store, ["q"])).items()}
    for strategy in ("uniform", "greedy", "threshold_decay"):
        replace, accumulate = lines[f"replace, {strategy}"], lines[f"accumulate, {strategy}"]
        assert replace["color"] == accumulate["color"]
        assert replace["linestyle"] != accumulate["linestyle"]
    assert len({line["color"] for line in lines.values()}) == 3
    assert len({line["linestyle"] for line in lines.values()}) == 2
