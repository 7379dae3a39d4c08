"""The files of the table of claims."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raycollapse.report.claims.finding import Finding
from raycollapse.report.claims.judging import judge
from raycollapse.report.claims.tables import claims_listing, claims_markdown, frame_of
from raycollapse.report.collect import collect
from raycollapse.report.folder import writing_to
from raycollapse.store import Store

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class ClaimsReport:
    """What was written, and what was found."""

    markdown: Path
    csv: Path
    findings: Sequence[Finding]

    @property
    def listing(self) -> "RenderableType":
        """The findings for a terminal."""
        return claims_listing(self.findings)


def write_claims(store: Store, experiments: Sequence[str], output: Path) -> ClaimsReport:
    """Write `claims.md` and `claims.csv` into a folder: the paper's claims, judged by all these experiments together.

    Raises:
        RequestError: an experiment is not there or has no records yet, or the folder cannot be written.
        FullDiskError: there is no space left there.
    """
    findings = judge(collect(store, experiments))
    report = ClaimsReport(output / "claims.md", output / "claims.csv", findings)
    with writing_to(output, "The claims"):
        report.markdown.write_text(claims_markdown(findings), encoding="utf-8")
        frame_of(findings).to_csv(report.csv, index=False)
    return report
