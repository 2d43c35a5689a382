"""COPY of many rows in its text form, written here: the driver looks up how to write each value anew, which takes
several times as long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from uuid import UUID

from sqlalchemy import Connection

from adapters.postgres.engine import driver

NULL = "\\N"
_AT_ONCE = 500
"""Rows sent together: a megabyte, where each brings a trace."""


def copy_rows(connection: Connection, table: str, rows: Iterable[Sequence[str]]) -> None:
    """Appends to the table: of each row all columns in their order, written as the functions here write them; numbers
    and dates as they are."""
    lines = ("\t".join(row) + "\n" for row in rows)
    with driver(connection).cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        while some := "".join(islice(lines, _AT_ONCE)):
            copy.write(some)


def a_text(value: str | None) -> str:
    if value is None:
        return NULL
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    # Most have none of these, nor has JSON; looking for each takes no time.
    return value.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def a_number(value: float | None) -> str:
    return NULL if value is None else str(value)


def an_id(value: UUID | None) -> str:
    return NULL if value is None else value.hex


def a_flag(value: bool) -> str:
    return "t" if value else "f"


def some_bytes(value: bytes | None) -> str:
    return NULL if value is None else "\\\\x" + value.hex()


def an_array(values: Sequence[object]) -> str:
    """Of texts or ids."""
    if not values:
        return "{}"
    quoted = [str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return a_text('{"' + '","'.join(quoted) + '"}')
