"""Reports as files, and read again."""

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

    def read(self, pieces: Iterator[bytes], *, most: int) -> Report:
        """The report that a JSON file has, without charts: whole, where that has `most` bytes or fewer, else with the
        rows of its first table that stand within so many, and what it comes to in all."""
        ...
