"""The paper's curves: which there are, and over which of our panels they are laid."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.axes import Axes

from raycollapse.config import build
from raycollapse.report import collect, write_report
from raycollapse.report.figures import COLOURS, draw
from raycollapse.report.panels import panels_of
from raycollapse.report.paper import FIGURES, GREYS, MARKERS, STRATEGIES, is_like_the_papers, overlays, paper_curves
from raycollapse.store import Store
from raycollapse.tracking import TrialRecords

MakeExperiment = Callable[..., list[TrialRecords]]
Drawn = list[tuple[str, Any]]

TWO = [("replace", "uniform"), ("replace", "greedy")]


@pytest.fixture
def frame(store: Store, make_experiment: MakeExperiment) -> pd.DataFrame:
    """Records as if they were of CIFAR-10, in the space of DINOv2, with a distance in that of the overlay."""
    make_experiment(points=TWO, replaced={"quality/fd_inception_torchvision": 50.0})
    return collect(store, ["q"]).assign(data="cifar10", space="dinov2")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """What was plotted: the label, and the line."""
    lines: Drawn = []
    original = Axes.plot

    def note(self: Axes, *args: Any, **options: Any) -> Any:
        made = original(self, *args, **options)
        lines.append((options.get("label", ""), made[0]))
        return made

    monkeypatch.setattr(Axes, "plot", note)
    return lines


def names(frame: pd.DataFrame) -> dict[str, list[str]]:
    return {metric: [c.name for c in curves] for metric, curves in overlays(panels_of(frame), frame).items()}


def test_every_published_curve_is_read() -> None:
    curves = paper_curves()
    assert len(curves) == 57 and sum(len(curve.points) for curve in curves) == 477
    assert {(curve.metric, curve.space) for curve in curves} == set(FIGURES.values())
    assert set(GREYS) == set(STRATEGIES.values()) and {curve.paradigm for curve in curves} == set(MARKERS)
    for curve in curves:
        generations = [generation for generation, _, _ in curve.points]
        assert generations == list(range(1, len(generations) + 1)) and all(value > 0 for _, value, _ in curve.points)


def test_the_values_are_those_that_the_paper_states_in_words() -> None:
    last = {
        (c.data, c.paradigm, c.strategy): c.points[-1][1]
        for c in paper_curves() if c.space == "inception_torchvision"
    }  # fmt: skip
    stated = {
        ("cifar10", "replace"): (188.8, 113.3, 112.0), ("cifar10", "accumulate"): (87.1, 52.9, 55.5),
        ("ffhq", "accumulate"): (75.8, 44.6, 57.3), ("ffhq", "replace"): (94.3, 99.8, 97.8),
    }  # fmt: skip
    for (data, paradigm), values in stated.items():
        for strategy, value in zip(("uniform", "greedy", "threshold_decay"), values, strict=True):
            assert last[data, paradigm, strategy] == pytest.approx(value, abs=0.3)


def test_a_curve_is_laid_over_the_panel_of_its_metric_space_data_and_paradigm(frame: pd.DataFrame) -> None:
    three = [f"paper, {name} (replace, N = 32,768)" for name in ("vanilla", "TDF", "Greedy")]
    found = names(frame)
    assert found["quality/fd_inception_torchvision"] == [*three, "paper, vanilla on 2N (replace, N = 32,768)"]
    assert found["memorization/generalization_score"] == found["entropy/train_set"] == three
    assert "quality/fd" not in found  # in the space of DINOv2 the paper does not say on which data set


@pytest.mark.parametrize(("column", "value"), [("data", "digits"), ("data", "mnist"), ("paradigm", "window")])
def test_other_data_and_paradigms_have_none(frame: pd.DataFrame, column: str, value: str) -> None:
    assert names(frame.assign(**{column: value})) == {}


def test_in_another_space_only_what_names_its_own_has_one(frame: pd.DataFrame) -> None:
    assert set(names(frame.assign(space="clip"))) == {"quality/fd_inception_torchvision"}
    assert set(names(frame.assign(space="inception_torchvision"))) == {"quality/fd", "quality/fd_inception_torchvision"}


def test_of_curves_at_several_sizes_only_that_of_our_own_is_laid_over(frame: pd.DataFrame) -> None:
    pixels = frame.assign(space="pixels", num_train=2048)
    assert names(pixels)["entropy/train_set"] == ["paper, vanilla (replace, N = 2,048)"]
    assert "entropy/train_set" not in names(pixels.assign(num_train=2000))


def test_every_data_sets_own_curves_are_laid_over(frame: pd.DataFrame) -> None:
    both = pd.concat([frame, frame.assign(data="ffhq", paradigm="accumulate")])
    sizes = Counter(name.partition("N = ")[2] for name in names(both)["memorization/generalization_score"])
    assert sizes == {"32,768)": 3, "8,192)": 3}


def test_they_are_drawn_in_the_strategys_colour_and_hollow_where_they_are_hidden(
    frame: pd.DataFrame, drawn: Drawn, tmp_path: Path
) -> None:
    draw(frame, tmp_path / "f.png", set(frame["trial_key"]))
    colours = {label: line.get_color() for label, line in drawn if label.startswith("paper")}
    assert colours["paper, vanilla (replace, N = 32,768)"] == COLOURS[0]
    assert colours["paper, Greedy (replace, N = 32,768)"] == COLOURS[1]
    assert colours["paper, TDF (replace, N = 32,768)"] == GREYS["threshold_decay"]
    curves = [curve for own in overlays(panels_of(frame), frame).values() for curve in own]
    hidden = sorted(value for curve in curves for _, value, is_clean in curve.points if not is_clean)
    hollow = [line for label, line in drawn if not label and line.get_markerfacecolor() == "white"]
    assert sorted(value for line in hollow for value in line.get_ydata()) == hidden != []
    for label, line in drawn:
        if label.startswith("paper"):
            assert len(line.get_markevery()) + sum(
                not is_clean for curve in curves if curve.name == label and curve.points[0][1] == line.get_ydata()[0]
                for _, _, is_clean in curve.points
            ) == len(line.get_ydata())  # fmt: skip


def test_none_is_drawn_over_trials_that_are_not_like_the_papers(
    frame: pd.DataFrame, drawn: Drawn, tmp_path: Path
) -> None:
    draw(frame, tmp_path / "f.png")
    assert not [label for label, _ in drawn if label.startswith("paper")]


POOLED = {"name": "huggingface", "pooling": "mean"}
RAW: dict[str, Any] = {
    "name": "like", "data": {"name": "cifar10", "num_train": 64}, "paradigm": "replace", "selection": "greedy",
    "num_generations": 1, "denoiser": "mlp", "training": {"num_steps": 9, "warmup_steps": 1}, "features": "huggingface",
    "metrics": [{"name": "frechet", "features": "inception_torchvision"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"data": {"name": "ffhq", "num_train": 64}}, True),
        ({"data": {"name": "cifar10", "num_train": 64, "image_size": 16}}, False),
        ({"features": {"name": "huggingface", "normalise": True}}, False),
        ({"features": "pixels", "metrics": [{"name": "entropy", "features": POOLED}]}, False),
    ],
)
def test_other_sides_and_changed_features_are_not_like_the_papers(changes: dict[str, Any], expected: bool) -> None:
    assert is_like_the_papers(build({**RAW, **changes}).resolved()) == expected


def test_a_report_of_cifar10_has_them_and_one_of_digits_has_not(
    store: Store, make_experiment: MakeExperiment, drawn: Drawn, tmp_path: Path
) -> None:
    make_experiment(name="digits", points=TWO)
    make_experiment(name="cifar", points=TWO, data={"name": "cifar10", "num_train": 512}, features="huggingface")
    write_report(store, ["digits"], tmp_path)
    assert not [label for label, _ in drawn if label.startswith("paper")]
    write_report(store, ["cifar"], tmp_path)
    assert len([label for label, _ in drawn if label.startswith("paper")]) == 6
