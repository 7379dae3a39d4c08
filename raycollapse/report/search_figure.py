"""The figure of a search: each objective over each searched field, and the trade-off between two objectives."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raycollapse.report.search import SearchResult, told
from raycollapse.search.distributions import LogUniform, Range

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_INCHES, ROW_INCHES = 3.4, 2.9
OTHERS = {"color": "#56B4E9", "marker": "o", "s": 28, "linewidths": 0, "alpha": 0.8}
BEST = {"color": "#D55E00", "marker": "*", "s": 110, "linewidths": 0, "zorder": 3}
MOST_CHARACTERS = 24
"""Of a choice on an axis."""


def draw_search(result: SearchResult, path: Path) -> None:
    """Write the figure of a search with at least one finished trial as a PNG file.

    A row for each objective and a column for each field. Of two objectives the trade-off comes first, in a column of
    its own. The best trials, or those on the trade-off, are stars.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    objectives, fields = list(result.search.objectives), list(result.search.space)
    first = int(len(objectives) == 2)
    shape = (len(objectives), first + len(fields))
    with style.context(["default", {"axes.spines.top": False, "axes.spines.right": False}]):
        figure = Figure(figsize=(PANEL_INCHES * shape[1], ROW_INCHES * shape[0] + 0.3), layout="constrained", dpi=150)
        FigureCanvasAgg(figure)
        places = figure.subplots(*shape, squeeze=False)
        if first:
            _draw_trade_off(places[0, 0], result)
            places[1, 0].set_axis_off()
        for row, objective in enumerate(objectives):
            for column, field in enumerate(fields):
                axes = places[row, first + column]
                _scatter(axes, result, [_place(result, column, one.values[column]) for one in result.found], row)
                _set_scale(axes, result, column)
                axes.set_xlabel(field)
                axes.set_ylabel(_label(result, objective))
        figure.savefig(path, metadata={"Software": None})


def _draw_trade_off(axes: "Axes", result: SearchResult) -> None:
    x, y = result.search.objectives
    _scatter(axes, result, [one.objectives[0] for one in result.found], 1)
    front = sorted(one.objectives for one in result.found if one.is_best)
    axes.plot(*zip(*front, strict=True), color="#D55E00", linewidth=1, zorder=2)
    axes.set_xlabel(_label(result, x))
    axes.set_ylabel(_label(result, y))
    axes.set_title("trade-off", loc="left", fontsize=10)


def _scatter(axes: "Axes", result: SearchResult, across: list[float], objective: int) -> None:
    """Draw the trials: one objective over some value of each."""
    for is_best, look in ((False, OTHERS), (True, BEST)):
        rows = [index for index, one in enumerate(result.found) if one.is_best == is_best]
        values = [result.found[index].objectives[objective] for index in rows]
        kept: Any = look
        axes.scatter([across[index] for index in rows], [v if math.isfinite(v) else math.nan for v in values], **kept)
    axes.grid(alpha=0.25, linewidth=0.6)


def _choices(result: SearchResult, column: int) -> list[str]:
    """Return the choices of a field by their places on the axis; none of a range of numbers."""
    own = list(result.search.space.values())[column]
    return [] if isinstance(own, Range) else [told(value) for value in own.probes()]


def _place(result: SearchResult, column: int, value: Any) -> float:
    choices = _choices(result, column)
    # A member of a family is recorded with its defaults filled in, and given by name or with some of its fields.
    return float(_closest(choices, told(value))) if choices else float(value)


def _closest(choices: list[str], recorded: str) -> int:
    """Return which choice a recorded value came from: the one whose parts it has, the most of them.

    >>> _closest(["greedy", "threshold_decay, decay=0.5", "threshold_decay"], "threshold_decay, decay=0.5, threshold=9")
    1
    """
    parts = set(recorded.split(", "))
    fitting = [index for index, choice in enumerate(choices) if set(choice.split(", ")) <= parts]
    return max(fitting, key=lambda index: len(choices[index]), default=len(choices))


def _set_scale(axes: "Axes", result: SearchResult, column: int) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    choices = _choices(result, column)
    if choices:
        axes.set_xticks(range(len(choices)), [choice[:MOST_CHARACTERS] for choice in choices])
        axes.set_xlim(-0.5, len(choices) - 0.5)
    elif isinstance(list(result.search.space.values())[column], LogUniform):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def _label(result: SearchResult, objective: str) -> str:
    return f"{objective} ({result.search.objectives[objective]})"
