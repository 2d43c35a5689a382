"""Which format is written by what."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.reports import page, plain, reading, workbook
from core.domain.report_tables import Report
from core.domain.reports import Format


class FileWriters:
    def write(self, format: Format, report: Report) -> Iterator[bytes]:
        match format:
            case Format.CSV:
                return plain.csv_pieces(report)
            case Format.JSON:
                return plain.json_pieces(report)
            case Format.XLSX:
                return workbook.pieces(report)
            case Format.HTML:
                return page.pieces(report)

    def read(self, pieces: Iterator[bytes], *, most: int) -> Report:
        return reading.read(pieces, most=most)
