"""What a search found: its trials, best first, or the trade-off between several objectives, from the records alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from raycollapse.overrides import value_at
from raycollapse.report.rounding import written
from raycollapse.report.tables import table_line
from raycollapse.search import Search
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords, trial_keys
from raycollapse.tracking.searches import read_search

if TYPE_CHECKING:
    from rich.table import Table

MOST_ON_TERMINAL = 10
BEST = "*"


@dataclass(frozen=True)
class Found:
    """A trial that is at its last generation."""

    trial_key: str
    values: tuple[Any, ...]
    """Of the searched fields, in the order of the space."""
    objectives: tuple[float, ...]
    is_best: bool
    """Whether no other trial is at least as good in every objective and better in one."""


class SearchResult(NamedTuple):
    """What has come of a search."""

    search: Search
    found: list[Found]
    """Its finished trials: those on the trade-off first, each part by objective."""
    num_stopped: int
    """How many more were stopped early."""


def found_by_search(store: Store, experiment: str) -> SearchResult | None:
    """Return an experiment's search and what has come of it.

    None if it ran no search. A trial without a value of some objective is left out.
    """
    kept = read_search(store, experiment)
    if kept is None:
        return None
    search, num_generations = kept
    rows, num_stopped = [], 0
    for key in trial_keys(store, experiment):
        records = TrialRecords(store, experiment, key)
        config, recorded = records.read_config(), {record.generation: record.metrics for record in records.read()}
        if config is not None and (last := recorded.get(num_generations)) is not None:
            objectives = tuple(last.get(name, math.nan) for name in search.objectives)
            if not any(map(math.isnan, objectives)):
                rows.append((key, tuple(value_at(config, path) for path in search.space), objectives))
        elif records.read_stop() is not None:
            num_stopped += 1
    signs = [1 if way == "minimise" else -1 for way in search.objectives.values()]
    costs = [tuple(sign * value for sign, value in zip(signs, row[2], strict=True)) for row in rows]
    best = trade_off(costs)
    order = sorted(range(len(rows)), key=lambda index: (index not in best, costs[index]))
    return SearchResult(search, [Found(*rows[index], is_best=index in best) for index in order], num_stopped)


def trade_off(costs: Sequence[tuple[float, ...]]) -> set[int]:
    """Return which rows no other row dominates (the Pareto front), all costs being better if lower.

    >>> sorted(trade_off([(1.0, 5.0), (2.0, 2.0), (3.0, 3.0), (5.0, 1.0)]))
    [0, 1, 3]
    """

    def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    return {index for index, own in enumerate(costs) if not any(dominates(other, own) for other in costs)}


def search_markdown(result: SearchResult) -> str:
    """Return all trials as Markdown."""
    heading = _heading(result.search)
    lines = [table_line(cells) for cells in [heading, ["--"] * len(heading), *map(_cells, result.found)]]
    return "\n".join([*lines, "", _caption(result)]) + "\n"


def search_table(result: SearchResult) -> "Table":
    """Return the best trials for a terminal; of a trade-off, as many of it as there are."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    num = max(MOST_ON_TERMINAL, sum(row.is_best for row in result.found))
    table = Table(box=box.SIMPLE_HEAD, caption=escape(_caption(result)), caption_justify="left", pad_edge=False)
    for name in _heading(result.search):
        last = name.rpartition("/")[2].rpartition(".")[2]  # a terminal has 80 columns; the caption spells it out
        table.add_column(escape(last), overflow="fold")
    for row in result.found[:num]:
        table.add_row(*map(escape, _cells(row)))
    return table


def _heading(search: Search) -> list[str]:
    return ["", *search.space, *search.objectives, "trial"]


def _cells(row: Found) -> list[str]:
    return [BEST if row.is_best else "", *map(told, row.values), *map(written, row.objectives), row.trial_key[:6]]


def told(value: Any) -> str:
    """Return the value of a searched field for a person; of a member, its name and fields."""
    if isinstance(value, dict):
        return ", ".join(told(own) if name == "name" else f"{name}={told(own)}" for name, own in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _caption(result: SearchResult) -> str:
    search = result.search
    stopped = f", {result.num_stopped} stopped early" if result.num_stopped else ""
    what = "best" if len(search.objectives) == 1 else "on the trade-off: no trial is better in one and as good in all"
    ways = ", ".join(f"{way} {name}" for name, way in search.objectives.items())
    finished = f"{len(result.found)} of {search.num_trials} trials finished{stopped}"
    return f"{ways}, at the last generation; {finished}; {BEST} {what}"
