"""The published curves of Shi et al. 2025 (arXiv 2509.16499), for laying over our own where they may be compared.

They were read off the paper's figures; `experiments/paper/README.md` says how, and how exactly.
"""

import csv
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raycollapse.errors import RequestError
from raycollapse.report.panels import Panel

if TYPE_CHECKING:
    import pandas as pd

_PLACES = (
    Path(__file__).parents[2] / "experiments" / "paper" / "curves.csv",
    Path(sysconfig.get_path("data")) / "share" / "raycollapse" / "paper_curves.csv",
)
"""In a clone; where an installed package puts its data."""

SCORE, ENTROPY, DISTANCE = "memorization/generalization_score", "entropy/train_set", "quality/fd"
FIGURES = {
    "FID": (DISTANCE, "inception_torchvision"),
    "FID_2N_ablation": (DISTANCE, "inception_torchvision"),
    "FD_DINO": (DISTANCE, "dinov2"),
    "GS": (SCORE, "dinov2"),
    "entropy": (ENTROPY, "dinov2"),
    "GS_pixel": (SCORE, "pixels"),
    "entropy_pixel": (ENTROPY, "pixels"),
    "real_fraction": ("selection/real_share", "dinov2"),
}
"""Figure -> our metric, and the feature space it was measured in."""
STRATEGIES = {"vanilla": "uniform", "vanilla_2N": "keep_all", "greedy": "greedy", "tdf": "threshold_decay"}
TITLES = {"uniform": "vanilla", "keep_all": "vanilla on 2N", "greedy": "Greedy", "threshold_decay": "TDF"}
GREYS = {"uniform": "#333333", "keep_all": "#C4C4C4", "greedy": "#6A6A6A", "threshold_decay": "#999999"}
MARKERS = {"replace": "*", "accumulate": "X"}
NUM_TRAIN = {"cifar10": 32_768, "ffhq": 8_192}
SIDE = 32
"""Of the paper's images, in pixels."""


@dataclass(frozen=True)
class PaperCurve:
    """One published curve."""

    metric: str
    space: str
    data: str
    paradigm: str
    strategy: str
    num_train: int | None
    """N; none where the paper does not say."""
    is_one_of_several_sizes: bool
    """Whether the paper has this curve at other N too, so that only the one at our N is wanted."""
    points: tuple[tuple[int, float, bool], ...]
    """(generation, value, whether its marker is seen whole)."""

    @property
    def name(self) -> str:
        """What the legend calls it. The size is told, for values depend on it."""
        size = "" if self.num_train is None else f", N = {self.num_train:,}"
        return f"paper, {TITLES[self.strategy]} ({self.paradigm}{size})"

    def belongs_to(self, panel: Panel, frame: "pd.DataFrame") -> bool:
        """Return whether any of the trials measured this, in this space, on these data, in this paradigm."""
        base = f"{self.metric}_{panel.space}" if panel.space else self.metric
        if panel.metric != base or not (frame["data"] == self.data).any():
            return False
        space = frame["space"] if panel.space is None else panel.space
        same = (frame["data"] == self.data) & (frame["paradigm"] == self.paradigm) & (space == self.space)
        if self.is_one_of_several_sizes:
            same &= frame["num_train"] == self.num_train
        return bool((same & frame[panel.metric].notna()).any())


@lru_cache(maxsize=1)
def paper_curves() -> tuple[PaperCurve, ...]:
    """Return all published curves, in the order of the file.

    Raises:
        RequestError: the file is not where it is installed.
    """
    file = next((place for place in _PLACES if place.is_file()), None)
    if file is None:
        raise RequestError(f"The paper's curves are missing from {_PLACES[0]}. Install raycollapse anew.")
    with file.open(newline="", encoding="utf-8") as stream:
        return tuple(_curves(csv.DictReader(stream)))


def _curves(rows: Iterable[Mapping[str, str]]) -> Iterable[PaperCurve]:
    points: dict[tuple[str, ...], list[tuple[int, float, bool]]] = defaultdict(list)
    for row in rows:
        curve = tuple(row[name] for name in ("figure", "dataset", "paradigm", "method"))
        points[curve].append((int(row["iteration"]), float(row["value"]), row["q"] == "1"))
    for (figure, data, written, method), own in points.items():
        paradigm, _, size = written.partition("_N=")
        num_train = int(size) if size else NUM_TRAIN.get(data)
        strategy = STRATEGIES[method]
        yield PaperCurve(*FIGURES[figure], data, paradigm, strategy, num_train, bool(size), tuple(sorted(own)))


def is_like_the_papers(config: Mapping[str, Any]) -> bool:
    """Return whether a resolved configuration has what no name tells: the paper's image side, features as they come."""
    extractors = [config["features"], *(metric.get("features") or {} for metric in config.get("metrics", []))]
    changed = any(own.get("normalise", False) or own.get("pooling", "cls") != "cls" for own in extractors)
    return config["data"].get("image_size") in (None, SIDE) and not changed


def overlays(panels: Sequence[Panel], frame: "pd.DataFrame") -> dict[str, list[PaperCurve]]:
    """Return, by the metric of a panel, the curves that may be laid over it.

    Args:
        panels: what is drawn.
        frame: the collected records of trials like the paper's.
    """
    if not frame["data"].isin(NUM_TRAIN.keys()).any():
        return {}  # as almost always, and the file is not needed
    found = {panel.metric: [c for c in paper_curves() if c.belongs_to(panel, frame)] for panel in panels}
    return {metric: curves for metric, curves in found.items() if curves}


def draw_curve(axes: Any, curve: PaperCurve, colour: str) -> None:
    """Draw a curve thinly, with its paradigm's marker at each point: hollow where another curve hides it there."""
    generations, values, are_clean = zip(*curve.points, strict=True)
    style: dict[str, Any] = {
        "color": colour,
        "linestyle": (0, (2, 2)),
        "linewidth": 1.0,
        "marker": MARKERS[curve.paradigm],
    }
    clean = [index for index, is_clean in enumerate(are_clean) if is_clean]
    axes.plot(generations, values, label=curve.name, markersize=8, markevery=clean, zorder=1.5, **style)
    hidden = [point for point in curve.points if not point[2]]
    if hidden:
        axes.plot(
            [point[0] for point in hidden], [point[1] for point in hidden], color=colour, linestyle="",
            marker=MARKERS[curve.paradigm], markersize=8, markerfacecolor="white", zorder=1.6,
        )  # fmt: skip
