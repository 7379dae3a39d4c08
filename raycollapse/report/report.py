"""The report: figure, table and every value of one or several experiments, from their records."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raycollapse.errors import RequestError
from raycollapse.report.collect import collect
from raycollapse.report.figures import draw
from raycollapse.report.tables import markdown, rich_table
from raycollapse.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table


@dataclass(frozen=True)
class Report:
    """What was written, and the values it was made from."""

    figure: Path
    markdown: Path
    csv: Path
    values: "pd.DataFrame"
    """A row for each generation of each trial (see `collect`)."""

    @property
    def table(self) -> "Table":
        """The summary for a terminal."""
        return rich_table(self.values)


def write_report(store: Store, experiments: Sequence[str], output: Path) -> Report:
    """Write `figure.png`, `table.md` and `results.csv` into a folder.

    Raises:
        RequestError: an experiment is not there or has no records yet, or the folder cannot be written.
    """
    values = collect(store, experiments)
    report = Report(output / "figure.png", output / "table.md", output / "results.csv", values)
    try:
        output.mkdir(parents=True, exist_ok=True)
        draw(values, report.figure)
        report.markdown.write_text(markdown(values), encoding="utf-8")
        values.to_csv(report.csv, index=False)
    except OSError as error:
        raise RequestError(
            f"The report cannot be written to {output} ({error}). Give a folder with --output."
        ) from error
    return report
