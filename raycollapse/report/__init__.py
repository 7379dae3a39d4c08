"""Figures, tables and pictures of results, made from the records alone."""

from raycollapse.report.collect import collect, trial_labels
from raycollapse.report.report import Report, write_report

__all__ = ["Report", "collect", "trial_labels", "write_report"]
