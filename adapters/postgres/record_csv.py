"""Records as lines of CSV that PostgreSQL writes: ten times as fast as rows that come here first.

Texts are as `core.domain.spreadsheets.cell` writes them, and fields are quoted as Python's csv module does; a test
holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Select, Text, Uuid, bindparam, column, func, literal_column, select
from sqlalchemy.sql import ColumnElement

from adapters.postgres.engine import driver
from adapters.postgres.tables import records
from core.domain.spreadsheets import FORMULA, RECORD_COLUMNS

_AT_ONCE = 1_000
"""Lines that go out together."""
_FIRST = ", ".join(f"U&'\\{ord(one):04x}'" for one in FORMULA)
_SECONDS = "to_char(records.occurred_at, 'YYYY-MM-DD\"T\"HH24:MI:SS')"
_INSTANT = f"""
    CASE WHEN records.occurred_at IS NULL THEN records.occurred_on::text
         WHEN date_trunc('second', records.occurred_at) = records.occurred_at THEN {_SECONDS} || '+00:00'
         ELSE {_SECONDS} || to_char(records.occurred_at, '.US') || '+00:00' END
"""
_CONFIDENCE = """
    CASE WHEN records.confidence IN (0, 1) THEN records.confidence::text || '.0' ELSE records.confidence::text END
"""


def _cell(of: str) -> str:
    """NULL is written as an empty field, and an empty text would be written as two quotes."""
    plain_number = f"{of} ~ '^[+-]?[0-9]+(\\.[0-9]+)?$'"
    return f"CASE WHEN left({of}, 1) IN ({_FIRST}) AND NOT {plain_number} THEN '''' || {of} ELSE nullif({of}, '') END"


_WRITTEN = {
    "id": "records.id",
    "occurred_at": _INSTANT,
    "amount": "records.amount",
    "category": _cell("names.name"),
    "category_id": "records.category_id",
    "confidence": _CONFIDENCE,
    "tags": _cell("array_to_string(records.tags, ' ')"),
    "attributes": "nullif(records.attributes::text, '{}')",
}
"""How columns are written that are no texts, or are made of others; objects begin with a brace."""
_COLUMNS: tuple[ColumnElement[Any], ...] = tuple(
    literal_column(_WRITTEN.get(name, _cell(f"records.{name}"))).label(f"{name}_") for name in RECORD_COLUMNS
)


def query(names: Mapping[UUID, str]) -> Select[Any]:
    """The fields of all records, to be filtered, by their day, then by id; categories have these names."""
    ids = bindparam("name_ids", list(names), ARRAY(Uuid(as_uuid=True)))
    told = bindparam("name_texts", list(names.values()), ARRAY(Text))
    both = func.unnest(ids, told).table_valued(column("id", Uuid(as_uuid=True)), column("name", Text))
    named = both.render_derived(name="names")
    joined = records.outerjoin(named, named.c.id == records.c.category_id)
    return select(*_COLUMNS).select_from(joined).order_by(records.c.occurred_on, records.c.id)


def lines(connection: Connection, query: Select[Any]) -> Iterator[bytes]:
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    statement = f"COPY ({compiled.string}) TO STDOUT (FORMAT csv)"
    with driver(connection).cursor() as cursor:
        # To PostgreSQL this is one statement, which lasts for as long as the lines are taken: a file store that is slow
        # is no fault of it. Who takes them holds a lease, and the statement ends with the worker's connection.
        cursor.execute("SET LOCAL statement_timeout = 0")
        with cursor.copy(statement, compiled.params) as copied:
            rows = iter(copied)
            while some := [bytes(row[:-1]) for row in islice(rows, _AT_ONCE)]:
                yield b"\r\n".join(some) + b"\r\n"
        cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
