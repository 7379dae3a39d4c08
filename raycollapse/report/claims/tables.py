"""The table of claims, for files and for a terminal: what was measured, what is expected of it, and the verdict."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from raycollapse.report.claims.finding import MIN_SEEDS, Finding, Measure
from raycollapse.report.claims.judging import CLAIMS
from raycollapse.report.rounding import written, written_with_spread
from raycollapse.report.tables import MISSING, table_line

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

HEADING = ("claim", "data, space, N", "statistic", "ours", "expected", "met in", "paper", "verdict")
COLOURS = {"holds": "green", "does not hold": "red", "not tested at this size": "dim"}
WIDTHS = (17, 8, 8)
"""Of our value, of what is expected of it, and of how many seeds meet that, on a terminal."""
CAPTION = (
    f"ours: mean ± standard deviation over seeds. A claim holds if all that is expected is met in every seed, of which "
    f"there must be {MIN_SEEDS} at least."
)


def frame_of(findings: Sequence[Finding]) -> "pd.DataFrame":
    """Return a row for each statistic, unrounded; one without values for a claim that has none."""
    import pandas as pd

    rows = [_row(finding, measure) for finding in findings for measure in finding.measures or (Measure("", {}),)]
    return pd.DataFrame(rows)


def _row(finding: Finding, measure: Measure) -> dict[str, Any]:
    return {
        "claim": finding.claim,
        "statement": CLAIMS[finding.claim][0],
        "where": finding.where,
        "statistic": measure.statistic,
        "mean": measure.mean,
        "standard_deviation": measure.deviation,
        "num_seeds": len(measure.by_seed),
        "by_seed": " ".join(f"{seed}:{value!r}" for seed, value in measure.by_seed.items()),
        "expected": str(measure.criterion or ""),
        "num_met": measure.num_met if measure.criterion else None,
        "paper": measure.paper,
        "verdict": finding.verdict,
        "reason": finding.reason,
    }


def claims_markdown(findings: Sequence[Finding]) -> str:
    """Return the table as Markdown."""
    lines = [table_line(HEADING), table_line([":--"] * len(HEADING))]
    lines += [table_line(cells) for finding in findings for cells in _cells(finding)]
    return "\n".join([*lines, "", CAPTION]) + "\n"


def claims_listing(findings: Sequence[Finding]) -> "RenderableType":
    """Return the findings for a terminal of 80 columns: claim, setup and verdict, and the statistics below."""
    from rich.console import Group
    from rich.text import Text

    parts = [part for finding in findings for part in (_headline(finding), _statistics(finding))]
    return Group(*parts, Text(CAPTION, "italic"))


def _headline(finding: Finding) -> "Text":
    from rich.text import Text

    claim = f"{finding.claim}: {CLAIMS[finding.claim][0]}\n"
    place, reason = f"{finding.where}: " if finding.where else "", f", {finding.reason}" if finding.reason else ""
    return Text.assemble((claim, "bold"), place, (finding.verdict, COLOURS[finding.verdict]), reason)


def _statistics(finding: Finding) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 0, 0, 1), expand=True)
    table.add_column(ratio=1)
    for width in WIDTHS:
        table.add_column(justify="right", width=width)
    for measure in finding.measures:
        paper = f" (paper: {measure.paper})" if measure.paper else ""
        table.add_row(f"{measure.statistic}{paper}", _ours(measure), str(measure.criterion or ""), _met(measure))
    table.add_row()
    return table


def _cells(finding: Finding) -> Iterator[list[str]]:
    """Yield the rows of a finding; what is the same for all of them is in the first."""
    verdict = f"{finding.verdict}: {finding.reason}" if finding.reason else finding.verdict
    head = [f"{finding.claim}: {CLAIMS[finding.claim][0]}", finding.where]
    for index, measure in enumerate(finding.measures or (Measure("", {}),)):
        first = index == 0
        yield [
            *(head if first else ("", "")), measure.statistic, _ours(measure), str(measure.criterion or ""),
            _met(measure), measure.paper, verdict if first else "",
        ]  # fmt: skip


def _ours(measure: Measure) -> str:
    if not measure.by_seed:
        return MISSING
    return written_with_spread(measure.mean, measure.deviation) if len(measure.by_seed) > 1 else written(measure.mean)


def _met(measure: Measure) -> str:
    return f"{measure.num_met} of {len(measure.by_seed)}" if measure.criterion and measure.by_seed else ""
