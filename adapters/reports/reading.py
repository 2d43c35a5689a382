"""Reports read again, out of the JSON that `adapters.reports.plain` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson

from core.domain.report_tables import Column, ColumnKind, Report, Table, Value

_DATE_LETTERS = 10


def read(pieces: Iterator[bytes], *, most: int) -> Report:
    """The report without charts: whole, where its JSON has `most` bytes or fewer, else with the rows of its first table
    that stand within so many, and what it comes to in all."""
    text = bytearray()
    for piece in pieces:
        text += piece
        if len(text) > most:
            return _report(_begin(bytes(text[:most])))
    return _report(orjson.loads(bytes(text)))


def _begin(text: bytes) -> Mapping[str, Any]:
    """A row is a line; what comes before the first one is a line, too."""
    head, *lines = text.split(b"\n")
    rows = []
    for line in lines[:-1]:  # the last one may be cut
        if line.startswith(b"]"):
            break
        rows.append(line.removesuffix(b","))
    whole: Mapping[str, Any] = orjson.loads(head + b",".join(rows) + b"]}]}")
    return whole


def _report(told: Mapping[str, Any]) -> Report:
    return Report(
        kind=told["kind"],
        title=told.get("title", ""),
        about=told["about"],
        tables=[_table(one) for one in told["tables"]],
        notes=told["notes"],
        in_all=_table(told["in_all"]) if "in_all" in told else None,
    )


def _table(told: Mapping[str, Any]) -> Table:
    columns = tuple(Column(key=one["key"], title=one["title"], kind=ColumnKind(one["kind"])) for one in told["columns"])
    reads = [(column.key, _READS.get(column.kind)) for column in columns]
    return Table(
        key=told["key"],
        title=told.get("title", ""),
        columns=columns,
        rows=[_row(row, reads) for row in told["rows"]],
    )


def _row(row: Mapping[str, Any], reads: Sequence[tuple[str, Callable[[Any], Value] | None]]) -> Sequence[Value]:
    return [row[key] if read is None or row[key] is None else read(row[key]) for key, read in reads]


def _instant(written: str) -> date:
    return date.fromisoformat(written) if len(written) == _DATE_LETTERS else datetime.fromisoformat(written)


_READS: Mapping[ColumnKind, Callable[[Any], Value]] = {
    ColumnKind.MONEY: Decimal,
    ColumnKind.DATE: date.fromisoformat,
    ColumnKind.INSTANT: _instant,
    ColumnKind.WORDS: tuple,
}
