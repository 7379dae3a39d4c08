"""The paper's claims C1 to C13 (arXiv 2509.16499), held against recorded runs."""

from raycollapse.report.claims.finding import Criterion, Finding, Measure
from raycollapse.report.claims.judging import CLAIMS, judge
from raycollapse.report.claims.writing import ClaimsReport, write_claims

__all__ = ["CLAIMS", "ClaimsReport", "Criterion", "Finding", "Measure", "judge", "write_claims"]
