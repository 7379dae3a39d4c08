"""The figure of an experiment: what was measured, over generations, a line per paradigm and strategy."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raycollapse.report.panels import Panel, has_values, panels_of
from raycollapse.report.paper import GREYS, draw_curve, overlays

if TYPE_CHECKING:
    import pandas as pd

SPANS_DECADES = 30.0
"""A panel whose largest value is so many times its least has a logarithmic axis."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Okabe and Ito's, which the colour-blind can tell apart (yellow left out: too pale on white)."""
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
PANEL_INCHES, ROW_INCHES = 4.9, 4.1
MOST_IN_A_ROW = 3
CHARACTER_INCHES, HANDLE_INCHES = 0.085, 0.85
"""What a character and a piece of line take in the legend."""


@dataclass(frozen=True)
class Look:
    """How a label is drawn: a row and a column of the legend, and what follows from them."""

    paradigm: int
    variant: int
    """Which strategy, with which settings: the colour and the shape of the markers."""

    def line(self) -> dict[str, Any]:
        """Return Matplotlib's settings. Later variants are drawn smaller, so that an equal curve below still shows."""
        colour, scale = _cycle(COLOURS, self.variant), 0.8 ** (self.variant % 4)
        return {
            "color": colour, "linestyle": _cycle(STYLES, self.paradigm), "linewidth": 2.4 * scale,
            "marker": _cycle(MARKERS, self.variant), "markersize": 8 * scale,
            "markerfacecolor": colour if self.paradigm == 0 else "white",
        }  # fmt: skip


def draw(frame: "pd.DataFrame", path: Path, like_the_papers: Collection[str] = ()) -> None:
    """Write the figure of collected records as a PNG file: the same records give the same bytes.

    Args:
        frame: collected records.
        path: the file.
        like_the_papers: keys of the trials over which the paper's curves may be laid.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels, looks = panels_of(frame), looks_of(frame)
    over = overlays(panels, frame[frame["trial_key"].isin(like_the_papers)]) if like_the_papers else {}
    in_a_row = min(len(panels), MOST_IN_A_ROW)
    num_rows, width = math.ceil(len(panels) / in_a_row), PANEL_INCHES * in_a_row
    num_columns = _legend_columns(looks, width)
    with style.context(["default", {"axes.spines.top": False, "axes.spines.right": False}]):
        height = ROW_INCHES * num_rows + 0.25 * math.ceil(len(looks) / num_columns)
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12 if num_rows > 1 else None)
        figure = Figure(figsize=(width, height), layout=layout, dpi=150)
        FigureCanvasAgg(figure)
        places = figure.subplots(num_rows, in_a_row, squeeze=False).flat
        for axes, panel in zip(places, panels, strict=False):
            _draw_panel(axes, panel, frame, looks)
            for curve in over.get(panel.metric, ()):
                draw_curve(axes, curve, _colour_of(curve.strategy, frame, looks))
        for axes in figure.axes[len(panels) :]:
            axes.set_axis_off()
        _add_legend(figure, looks, num_columns, _note(frame))
        figure.savefig(path, metadata={"Software": None})


def looks_of(frame: "pd.DataFrame") -> dict[str, Look]:
    """Return, by label in the order of the rows, how it is drawn."""
    rows = frame.drop_duplicates("label")
    paradigms = list(dict.fromkeys(rows["paradigm"]))
    variants = [label.replace(p, "", 1) for label, p in zip(rows["label"], rows["paradigm"], strict=True)]
    places = {variant: index for index, variant in enumerate(dict.fromkeys(variants))}
    return {
        label: Look(paradigms.index(paradigm), places[variant])
        for label, paradigm, variant in zip(rows["label"], rows["paradigm"], variants, strict=True)
    }


def _legend_columns(looks: dict[str, Look], width: float) -> int:
    """Return a column for each variant, if so many of the longest label fit into the width in inches."""
    num_fitting = int(width // (HANDLE_INCHES + CHARACTER_INCHES * max(map(len, looks))))
    return max(1, min(len({look.variant for look in looks.values()}), num_fitting))


def _add_legend(figure: Any, looks: dict[str, Look], num_columns: int, note: str | None) -> None:
    """Add the legend below: a column for each variant, a row for each paradigm, where that is a full grid."""
    by_name: dict[str, Any] = {}
    for axes in figure.axes:
        handles, names = axes.get_legend_handles_labels()
        by_name |= dict(zip(names, handles, strict=True))
    order = sorted(looks, key=lambda label: (looks[label].variant, looks[label].paradigm))
    order += [name for name in by_name if name not in looks]
    figure.legend(
        [by_name[label] for label in order], order, loc="outside lower center", ncols=num_columns,
        frameon=False, handlelength=3.4, title=note, title_fontsize=9,
    )  # fmt: skip


def _colour_of(strategy: str, frame: "pd.DataFrame", looks: dict[str, Look]) -> str:
    """Return the colour in which a strategy is drawn first; a grey if it is not among ours."""
    ours = frame.loc[frame["strategy"] == strategy, "label"]
    return GREYS[strategy] if ours.empty else str(looks[ours.iloc[0]].line()["color"])


def _draw_panel(axes: Any, panel: Panel, frame: "pd.DataFrame", looks: dict[str, Look]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_title(panel.title, loc="left", fontsize=11)
    axes.set_xlabel("generation")
    axes.set_ylabel(
        f"{panel.unit} (space: {panel.space or _all_of(frame, 'space')}, N = {_all_of(frame, 'num_train')})"
    )
    for label, look in looks.items():
        _draw_line(axes, _finite(frame[frame["label"] == label], panel.metric), label, look)
    if panel.floor is not None and has_values(frame, panel.floor):
        _draw_floor(axes, _finite(frame, panel.floor))
    if panel.reference is not None:
        _draw_level(axes, panel.reference, "new real images")
    if panel.may_be_log and _spans_decades(_finite(frame, panel.metric)["value"]):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.grid(alpha=0.25, linewidth=0.6)


def _draw_line(axes: Any, values: "pd.DataFrame", label: str, look: Look) -> None:
    """Draw the mean over seeds, and the range over them as a band. A value that is not finite leaves a gap."""
    over_seeds = values.groupby("generation")["value"]
    mean = over_seeds.agg(lambda values: values.mean(skipna=False))
    axes.plot(mean.index, mean, label=label, **look.line())
    if over_seeds.count().max() > 1:
        axes.fill_between(
            mean.index, over_seeds.min(), over_seeds.max(), color=look.line()["color"], alpha=0.18, linewidth=0
        )


def _draw_floor(axes: Any, floors: "pd.DataFrame") -> None:
    """Draw the floor of each set of real images: it does not depend on generation or trial, but on data and N."""
    for index, (_, floor) in enumerate(floors.groupby(["data", "space", "num_train"])["value"]):
        _draw_level(axes, floor.mean(), "held-out real images" if index == 0 else "")


def _draw_level(axes: Any, value: float, name: str) -> None:
    axes.axhline(value, color="#555555", linestyle=":", linewidth=1.4)
    if name:
        axes.annotate(
            name, (0.01, value), xycoords=("axes fraction", "data"), color="#555555",
            xytext=(0, 3), textcoords="offset points", fontsize=8,
        )  # fmt: skip


def _finite(frame: "pd.DataFrame", metric: str) -> "pd.DataFrame":
    """Return the rows with a `value` column: the metric, NaN where it is infinite."""
    return frame.assign(value=frame[metric].where(frame[metric].abs() < math.inf))


def _spans_decades(values: "pd.Series[float]") -> bool:
    return bool(values.min() > 0 and values.max() >= SPANS_DECADES * values.min())


def _all_of(frame: "pd.DataFrame", column: str) -> str:
    return " / ".join(str(value) for value in dict.fromkeys(frame[column]))


def _note(frame: "pd.DataFrame") -> str | None:
    num_seeds = int(frame.groupby("label")["trial_key"].nunique().max())
    return f"lines: mean of {num_seeds} seeds; bands: their range" if num_seeds > 1 else None


def _cycle(values: tuple[Any, ...], index: int) -> Any:
    return values[index % len(values)]
