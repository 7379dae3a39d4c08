"""The report: figure, table and every value of one or several experiments, from their records."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raycollapse.report.collect import collect
from raycollapse.report.figures import draw
from raycollapse.report.folder import writing_to
from raycollapse.report.paper import is_like_the_papers
from raycollapse.report.search import found_by_search, search_markdown, search_table
from raycollapse.report.search_figure import draw_search
from raycollapse.report.tables import markdown, rich_table
from raycollapse.store import Store
from raycollapse.tracking.records import TrialRecords

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table


@dataclass(frozen=True)
class Report:
    """What was written, and the values it was made from."""

    figure: Path
    markdown: Path
    csv: Path
    protocol: Path
    values: "pd.DataFrame"
    """A row for each generation of each trial (see `collect`)."""

    searches: "dict[str, Table]"
    """What searches have found, for a terminal, by experiment; `search.md` holds all of it."""

    @property
    def table(self) -> "Table":
        """The summary for a terminal."""
        return rich_table(self.values)


def write_report(store: Store, experiments: Sequence[str], output: Path) -> Report:
    """Write `figure.png`, `table.md`, `results.csv` and `protocol.json` into a folder, and of searches `search.md` and
    `search-NAME.png`.

    Raises:
        RequestError: an experiment is not there or has no records yet, or the folder cannot be written.
        FullDiskError: there is no space left there.
    """
    values = collect(store, experiments)
    figure, table, csv, protocol = (output / f for f in ("figure.png", "table.md", "results.csv", "protocol.json"))
    found = {name: own for name in dict.fromkeys(experiments) if (own := found_by_search(store, name)) is not None}
    searches = {name: search_table(own) for name, own in found.items()}
    report = Report(figure, table, csv, protocol, values, searches)
    with writing_to(output, "The report"):
        draw(values, report.figure, _like_the_papers(store, values))
        report.markdown.write_text(markdown(values), encoding="utf-8")
        if found:
            told = "\n".join(f"# {name}\n\n{search_markdown(own)}" for name, own in found.items())
            (output / "search.md").write_text(told, encoding="utf-8")
        for name, own in found.items():
            if own.found:
                draw_search(own, output / f"search-{name}.png")
        values.to_csv(report.csv, index=False)
        report.protocol.write_text(json.dumps(_protocols(store, values), indent=1) + "\n", encoding="utf-8")
    return report


def _protocols(store: Store, values: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return how each trial was done, in the order of the table; null where an older version did not note it."""
    trials: Any = values.drop_duplicates(["experiment", "trial_key"])
    return [
        {
            "experiment": trial.experiment, "trial_key": trial.trial_key, "label": trial.label, "seed": int(trial.seed),
            "protocol": TrialRecords(store, trial.experiment, trial.trial_key).read_protocol(),
        }
        for trial in trials.itertuples()
    ]  # fmt: skip


def _like_the_papers(store: Store, values: "pd.DataFrame") -> set[str]:
    """Return the keys of the trials that the paper's curves may be compared with."""
    trials: Any = values.drop_duplicates(["experiment", "trial_key"])
    configs = {t.trial_key: TrialRecords(store, t.experiment, t.trial_key).read_config() for t in trials.itertuples()}
    return {key for key, config in configs.items() if config is not None and is_like_the_papers(config)}
