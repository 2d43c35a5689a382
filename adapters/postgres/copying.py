"""COPY of many rows in its text form, written here: the driver looks up how to write each value anew, for 21 columns
and thousands of rows three times the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from adapters.postgres.engine import driver

_AT_ONCE = 500
"""Rows sent together: a megabyte, where each brings a trace."""


def copy_rows(connection: Connection, table: str, rows: Iterable[Sequence[Any]]) -> None:
    """Appends to the table; of each row all columns, in their order. Arrays are lists of texts or ids, without None."""
    lines = map(_line, rows)
    with driver(connection).cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        while some := "".join(islice(lines, _AT_ONCE)):
            copy.write(some)


def _line(row: Sequence[Any]) -> str:
    return "\t".join([_WRITERS[type(value)](value) for value in row]) + "\n"


def _text(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def _array(values: Sequence[Any]) -> str:
    if not values:
        return "{}"
    quoted = [str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return _text('{"' + '","'.join(quoted) + '"}')


class _Writers(dict[type, Callable[[Any], str]]):
    """How values of a type, or of one that derives from it, are written."""

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        write = next((write for known, write in self.items() if issubclass(kind, known)), None)
        if write is None:
            raise TypeError(f"no column takes a {kind.__name__}")
        self[kind] = write
        return write


_WRITERS = _Writers({
    type(None): lambda _: "\\N",
    bool: lambda value: "t" if value else "f",  # before int, which it derives from
    str: _text,
    int: str,
    float: float.__repr__,
    UUID: lambda value: value.hex,
    Decimal: str,
    datetime: datetime.isoformat,  # before date
    date: date.isoformat,
    bytes: lambda value: "\\\\x" + value.hex(),
    list: _array,
})  # fmt: skip
