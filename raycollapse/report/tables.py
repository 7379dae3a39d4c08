"""The table of an experiment: how far each loop has gone from its first generation to its last."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raycollapse.report.panels import ALWAYS_THERE, Panel, measured
from raycollapse.report.rounding import written, written_with_spread

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

SHORT = {
    "generalization score": "GS", "entropy of train set": "entropy", "Fréchet distance": "FD",
    "real share at last": "real", "generalization ratio": "ratio", "authenticity": "auth.", "duplicates": "dup.",
    "kernel distance": "KD", "Vendi of train set": "Vendi", "covariance trace of train set": "trace",
    "nearest distance in train set": "NN distance",
}  # fmt: skip
"""For a terminal of 80 columns, which the caption spells out."""
MOST_ON_TERMINAL = 3
"""Metrics that fit its 80 columns: the first of those in `table.md`."""
MISSING = "–"


@dataclass(frozen=True)
class Summary:
    """The cells of the table."""

    heading: list[str]
    rows: list[list[str]]
    caption: str


def summarize(frame: "pd.DataFrame", with_spread: bool = True, most: int | None = None) -> Summary:
    """Return a row for each label: its first and last generation, over seeds the mean and after ± half the range.

    Args:
        frame: collected records.
        with_spread: whether to tell half the range over seeds.
        most: how many metrics to show at most; none: all.
    """
    shown = measured(frame)[:most]
    spans = [_span_of(own) for _, own in frame.groupby("label", sort=False)]
    num_seeds = [own["trial_key"].nunique() for _, own in frame.groupby("label", sort=False)]
    extra = {"seeds": list(map(str, num_seeds)), "generations": spans}
    extra = {name: cells for name, cells in extra.items() if len(set(cells)) > 1}
    rows = [
        [str(label), *(cells[index] for cells in extra.values()), *_cells(own, shown, with_spread)]
        for index, (label, own) in enumerate(frame.groupby("label", sort=False))
    ]
    heading = ["paradigm, strategy", *extra, *(panel.column for panel in shown), "real share at last"]
    return Summary(heading, rows, _caption(spans, num_seeds, with_spread))


def _caption(spans: list[str], num_seeds: list[int], with_spread: bool) -> str:
    generations = f"generation {spans[0]}" if len(set(spans)) == 1 else "first generation → last"
    if max(num_seeds) == 1:
        return generations
    seeds = f"{num_seeds[0]} seeds" if len(set(num_seeds)) == 1 else "seeds"
    return f"{generations}; mean of {seeds}{' ± half their range' if with_spread else ''}"


def rich_table(frame: "pd.DataFrame") -> "Table":
    """Return the table for a terminal: means without their spread, so that it fits 80 columns."""
    from rich import box
    from rich.table import Table

    summary = summarize(frame, with_spread=False, most=MOST_ON_TERMINAL)
    spelled = ", ".join(f"{SHORT[name]} = {name}" for name in summary.heading if name in SHORT)
    table = Table(box=box.SIMPLE_HEAD, caption=f"{summary.caption}. {spelled}", caption_justify="left", pad_edge=False)
    for index, name in enumerate(summary.heading):
        table.add_column(SHORT.get(name, name), justify="left" if index == 0 else "right", no_wrap=index > 0)
    for row in summary.rows:
        table.add_row(*row)
    return table


def markdown(frame: "pd.DataFrame") -> str:
    """Return the table as Markdown."""
    summary = summarize(frame)
    align = [":--", *("--:" for _ in summary.heading[1:])]
    lines = [table_line(cells) for cells in [summary.heading, align, *summary.rows]]
    return "\n".join([*lines, "", summary.caption]) + "\n"


def _cells(own: "pd.DataFrame", shown: Sequence[Panel], with_spread: bool) -> list[str]:
    def over_seeds(values: "pd.Series[float]") -> str:
        return _over_seeds(values, with_spread)

    first, last = _ends(own, "first"), _ends(own, "last")
    cells = [f"{over_seeds(first[panel.metric])} → {over_seeds(last[panel.metric])}" for panel in shown]
    return [*cells, over_seeds(last[ALWAYS_THERE.metric]) if ALWAYS_THERE.metric in own else MISSING]


def table_line(cells: Sequence[str]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _ends(own: "pd.DataFrame", which: str) -> "pd.DataFrame":
    """Return the first or the last generation of each of a label's trials."""
    by_trial = own.groupby("trial_key")["generation"]
    return own.loc[by_trial.idxmin() if which == "first" else by_trial.idxmax()]


def _span_of(own: "pd.DataFrame") -> str:
    first, last = _ends(own, "first")["generation"], _ends(own, "last")["generation"]
    return f"{_range(first)} → {_range(last)}"


def _range(generations: "pd.Series[int]") -> str:
    least, most = generations.min(), generations.max()
    return str(least) if least == most else f"{least} to {most}"


def _over_seeds(values: "pd.Series[float]", with_spread: bool) -> str:
    """Return the mean, and half the range if asked for; a value that is missing is not passed over."""
    if values.isna().all():
        return MISSING
    mean = float(values.mean(skipna=False))
    if len(values) == 1 or not with_spread:
        return written(mean)
    return written_with_spread(mean, float(values.max(skipna=False) - values.min(skipna=False)) / 2)
