"""Which metrics a report shows, how it names them, and in what order: whatever was recorded, the paper's three first.

A metric in another space than the selection's is shown after the others, and one of another package's last.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raycollapse.report.collect import metric_names

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Panel:
    """One metric over generations."""

    metric: str
    title: str
    unit: str
    column: str
    """What heads its column in a table."""
    floor: str | None = None
    """The metric that is the least to be expected: what other real images reach."""
    reference: float | None = None
    """What new real images would score, whatever the data."""
    may_be_log: bool = False
    space: str | None = None
    """Where it was measured, if not in the selection's space."""


_SCORE = "memorization/generalization_score"
MAIN = (
    Panel(_SCORE, "Generalization score", "distance", "generalization score", may_be_log=True),
    Panel("entropy/train_set", "Entropy of the train set", "nats", "entropy of train set"),
    Panel(
        "quality/fd", "Fréchet distance to the real images", "squared distance", "Fréchet distance",
        floor="quality/fd_floor", may_be_log=True,
    ),
)  # fmt: skip
OTHERS = (
    Panel(
        "quality/fid", "FID to the real images", "squared distance", "FID", floor="quality/fid_floor",
        may_be_log=True, space="inception",
    ),
    Panel(
        "memorization/generalization_ratio", "Generalization ratio", "ratio", "generalization ratio", reference=1.0
    ),
    Panel("memorization/ct", "Data-copying test C_T", "standard deviations", "C_T", reference=0.0),
    Panel("memorization/authenticity", "Authentic samples", "fraction", "authenticity"),
    Panel("memorization/duplicates", "Samples that duplicate training images", "fraction", "duplicates"),
    Panel(
        "quality/kd", "Kernel distance to the real images", "no unit", "kernel distance",
        floor="quality/kd_floor", may_be_log=True,
    ),
    Panel("quality/precision", "Precision", "fraction", "precision"),
    Panel("diversity/recall", "Recall", "fraction", "recall"),
    Panel("quality/density", "Density", "mean count / k", "density", reference=1.0),
    Panel("diversity/coverage", "Coverage", "fraction", "coverage"),
    Panel("diversity/vendi_train_set", "Vendi score of the train set", "effective number", "Vendi of train set"),
    Panel(
        "diversity/covariance_trace_train_set", "Covariance trace of the train set", "squared distance",
        "covariance trace of train set", may_be_log=True,
    ),
    Panel(
        "diversity/nearest_distance_train_set", "Nearest-neighbour distance in the train set", "distance",
        "nearest distance in train set", may_be_log=True,
    ),
)  # fmt: skip
ALWAYS_THERE = Panel("selection/real_share", "Real share of the train set", "fraction", "real share")

COMPANIONS = frozenset({
    "entropy/train_set_at_floor", "entropy/synthetic", "entropy/synthetic_at_floor",
    "quality/fd_floor", "quality/fd_floor_num", "quality/fid_floor", "quality/fid_floor_num",
    "quality/kd_deviation", "quality/kd_floor", "quality/kd_floor_num",
    "memorization/generalization_ratio_num_held_out", "memorization/ct_num_cells", "memorization/authenticity_held_out",
    "memorization/duplicates_held_out", "memorization/duplicates_threshold", "diversity/vendi_synthetic",
    "diversity/covariance_trace_synthetic", "diversity/nearest_distance_synthetic",
})  # fmt: skip
"""What is recorded beside a metric to judge it by, or would show the same once more: in the CSV and MLflow only."""

NO_METRICS = ("cost/", "train/", "selection/")


def panels_of(frame: "pd.DataFrame") -> list[Panel]:
    """Return the panels that can be drawn; the real share, which always is there, if there is nothing else."""
    return [panel for panel in measured(frame) if has_values(frame, panel.metric)] or [ALWAYS_THERE]


def measured(frame: "pd.DataFrame") -> list[Panel]:
    """Return the panels of what was measured, in order; those without a finite value too, as long as it is no NaN."""
    names = [name for name in metric_names(frame) if not name.startswith(NO_METRICS) and frame[name].notna().any()]
    panels = [panel for name in names if (panel := _panel_of(name)) is not None]
    return sorted(panels, key=_place)


def has_values(frame: "pd.DataFrame", metric: str) -> bool:
    """Return whether any generation has a finite value of this metric."""
    return metric in frame and bool((frame[metric].abs() < math.inf).any())


def _panel_of(name: str) -> Panel | None:
    """Return how a recorded metric is shown; none for a companion of another."""
    known = {panel.metric: panel for panel in (*MAIN, *OTHERS)}
    base = max((n for n in (*known, *COMPANIONS) if name == n or name.startswith(f"{n}_")), key=len, default=None)
    if base is None:
        return Panel(name, name, "value", name, may_be_log=True)
    if base in COMPANIONS:
        return None
    panel, space = known[base], name[len(base) + 1 :]
    if not space:
        return panel
    floor = None if panel.floor is None else f"{panel.floor}_{space}"
    return replace(panel, metric=name, column=f"{panel.column} ({space})", floor=floor, space=space)


def _place(panel: Panel) -> tuple[bool, str, int, str]:
    """Return a sorting key: those we know, the selection's space first, in our order; then the others by name."""
    titles = [known.title for known in (*MAIN, *OTHERS)]
    is_known = panel.title in titles
    return not is_known, panel.space or "", titles.index(panel.title) if is_known else 0, panel.metric
