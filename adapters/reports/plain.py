"""Reports for programs: CSV and JSON. Equal reports are equal files: rows in their order, keys sorted, numbers as
decimal digits, and nothing of when they were made."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson

from core.domain.report_tables import Column, Report, Table, Value
from core.domain.spreadsheets import cell

AT_ONCE = 1_000
"""Rows that go out together."""


def csv_pieces(report: Report) -> Iterator[bytes]:
    """The first table. Texts that a spreadsheet would take for a formula begin with an apostrophe."""
    table = report.tables[0]
    yield _lines([[column.key for column in table.columns]])
    for some in _batches(table.rows):
        yield _lines([cell(as_text(value)) for value in row] for row in some)


def json_pieces(report: Report) -> Iterator[bytes]:
    """All tables, row by row. What it comes to stands in the head: who reads the first rows has it, too."""
    head = {"about": report.about, "kind": report.kind, "notes": report.notes}
    if report.in_all is not None:
        head["in_all"] = _whole(report.in_all)
    yield dumps(head)[:-1] + b',"tables":['
    for n, table in enumerate(report.tables):
        yield from _json_table(table, b"," * bool(n))
    yield b'],"title":' + dumps(report.title) + b"}\n"


def _whole(table: Table) -> Mapping[str, Any]:
    keys = [column.key for column in table.columns]
    return {
        "columns": [_column(one) for one in table.columns],
        "key": table.key,
        "rows": [dict(zip(keys, row, strict=True)) for row in table.rows],
        "title": table.title,
    }


def _json_table(table: Table, before: bytes) -> Iterator[bytes]:
    yield before + b'{"columns":' + dumps([_column(one) for one in table.columns]) + b',"key":' + dumps(table.key)
    yield b',"rows":['
    keys, separator = [column.key for column in table.columns], b"\n"
    for some in _batches(table.rows):
        yield separator + b",\n".join(dumps(dict(zip(keys, row, strict=True))) for row in some)
        separator = b",\n"
    yield b'\n],"title":' + dumps(table.title) + b"}"


def _column(column: Column) -> Mapping[str, str]:
    return {"key": column.key, "kind": column.kind.value, "title": column.title}


def as_text(value: Value) -> Value:
    """What stands in a cell for a value that is more than one thing."""
    if isinstance(value, tuple):
        return " ".join(value)
    if isinstance(value, Mapping):
        return dumps(value).decode() if value else None
    return value.isoformat() if isinstance(value, date) else value


def dumps(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    return (
        format(value, "f") if isinstance(value, Decimal) else dict(value) if isinstance(value, Mapping) else str(value)
    )


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode()


def _batches(rows: Iterable[Sequence[Value]]) -> Iterator[list[Sequence[Value]]]:
    left = iter(rows)
    while some := list(islice(left, AT_ONCE)):
        yield some
