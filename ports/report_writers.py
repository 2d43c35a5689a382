"""Reports as files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from core.domain.report_tables import Report
from core.domain.reports import Format


class ReportWriters(Protocol):
    def write(self, format: Format, report: Report) -> Iterator[bytes]:
        """The file, piece by piece; rows are gone through once. CSV and JSON of equal reports are equal, byte by byte.
        No text becomes a formula in a spreadsheet."""
        ...
