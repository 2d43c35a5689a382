"""Reports as XLSX, written row by row, so that a million of them take no more memory than some."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]

from adapters.reports.plain import as_text, dumps
from core.domain.report_tables import ColumnKind, Report, Table, Value

MOST_ROWS = 1_048_575
"""Of a sheet, below its heading."""
_MOST_TEXT = 32_767
_DIGITS = 15
"""Significant digits that a number of a spreadsheet has: amounts with more stay exact as texts."""
_PIECE = 1 << 20
_FIRST_DATE = date(1900, 3, 1)
"""Before it spreadsheets count a day that never was."""
_FORMATS = {ColumnKind.MONEY: "#,##0.00##########", ColumnKind.SHARE: "0.0%", ColumnKind.COUNT: "#,##0"}
_OPTIONS = {
    "constant_memory": True,
    "use_zip64": True,  # a sheet of a million long rows has more than 4 GiB before it is compressed
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def pieces(report: Report) -> Iterator[bytes]:
    """A sheet for each table, more where it has more rows than one holds, and one that says what the report is of."""
    with tempfile.TemporaryDirectory(prefix="sortation-report-") as folder:
        path = Path(folder) / "report.xlsx"
        book = xlsxwriter.Workbook(str(path), {**_OPTIONS, "tmpdir": folder})
        book.set_properties({"title": report.title, "created": datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)})
        for table in report.all_tables:
            _write(book, table)
        about = book.add_worksheet("About")
        told = [("report", report.title), ("kind", report.kind), *report.about.items()]
        told += [("note", note) for note in report.notes]
        for row, (name, value) in enumerate(told):
            about.write_string(row, 0, name)
            about.write_string(row, 1, value if isinstance(value, str) else dumps(value).decode())
        book.close()
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


def _write(book: Any, table: Table) -> None:
    heading, days = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd"})
    formats = [
        book.add_format({"num_format": _FORMATS[column.kind]}) if column.kind in _FORMATS else None
        for column in table.columns
    ]
    sheet, sheets, written = None, 0, MOST_ROWS
    for row in table.rows:
        if written == MOST_ROWS:
            sheets += 1
            sheet, written = _sheet(book, table, sheets, heading), 0
        written += 1
        for place, value in enumerate(row):
            _cell(sheet, written, place, value, formats[place], days)
    if sheet is None:
        _sheet(book, table, 1, heading)


def _sheet(book: Any, table: Table, number: int, heading: Any) -> Any:
    name = table.title[:27].strip()
    sheet = book.add_worksheet(name if number == 1 else f"{name} {number}")
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(table.columns):
        sheet.set_column(place, place, 36 if column.kind is ColumnKind.TEXT else 16)
    for place, column in enumerate(table.columns):
        sheet.write_string(0, place, column.title, heading)
    return sheet


def _cell(sheet: Any, row: int, place: int, value: Value, format: Any, days: Any) -> None:
    value = value if type(value) is date else as_text(value)
    if value is None:
        return
    if isinstance(value, date):
        if value >= _FIRST_DATE:
            sheet.write_datetime(row, place, value, days)
            return
        value = value.isoformat()
    if isinstance(value, Decimal) and len(value.as_tuple().digits) > _DIGITS:
        value = f"{value:f}"
    if isinstance(value, str):
        sheet.write_string(row, place, value[:_MOST_TEXT])
    else:
        sheet.write_number(row, place, value, format)
