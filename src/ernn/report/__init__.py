"""The report: a run's record in, one self-contained HTML page out."""

from ernn.report.page import render, write_report

__all__ = ["render", "write_report"]
