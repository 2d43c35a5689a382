"""Reports as a page to read and to print: self-contained, without a script, each chart with its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any

import jinja2

from adapters.charts.svg import draw
from adapters.reports.plain import as_text, dumps
from core.domain.report_tables import ColumnKind, Report, Table, Value

MOST_ROWS = 5_000
"""Of a table that a page shows: nobody prints a million."""
_NUMBERS = frozenset({ColumnKind.MONEY, ColumnKind.COUNT, ColumnKind.SHARE, ColumnKind.NUMBER})
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("adapters.reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_AT_ONCE = 500


def pieces(report: Report) -> Iterator[bytes]:
    stream = _TEMPLATES.get_template("report.html.jinja").stream(
        report=report,
        about={name: _told(value) for name, value in report.about.items()},
        charts=[draw(chart) for chart in report.charts],
        tables=[_table(table) for table in report.all_tables],
    )
    stream.enable_buffering(_AT_ONCE)
    for piece in stream:
        yield piece.encode()


def _table(table: Table) -> Mapping[str, Any]:
    rows = list(islice(table.rows, MOST_ROWS + 1))
    numbers = [column.kind in _NUMBERS for column in table.columns]
    return {
        "title": table.title,
        "columns": [(column.title, number) for column, number in zip(table.columns, numbers, strict=True)],
        "rows": [
            [
                (_shown(value, column.kind), number)
                for value, column, number in zip(row, table.columns, numbers, strict=True)
            ]
            for row in rows[:MOST_ROWS]
        ],
        "more": MOST_ROWS if len(rows) > MOST_ROWS else None,
    }


def _shown(value: Value, kind: ColumnKind) -> str:
    if value is None:
        return ""
    if kind is ColumnKind.SHARE and isinstance(value, float | int):
        return f"{value:.1%}"
    if isinstance(value, Decimal):
        return f"{value:,f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(as_text(value))


def _told(value: Any) -> str:
    return value if isinstance(value, str) else value.isoformat() if isinstance(value, date) else dumps(value).decode()
