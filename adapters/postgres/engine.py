"""Engines: a pool of psycopg connections each, one for the app's role and one for the system's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError

from adapters.postgres.vectors import adapt

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def dumps(value: Any) -> str:
    """JSON as it is stored: Decimals, ids and integers of more than 64 bits become strings; what PostgreSQL refuses in
    a text (NUL, halves of surrogate pairs) becomes U+FFFD."""
    try:
        written = orjson.dumps(value, default=str)
    except TypeError:
        return orjson.dumps(_storable(value), default=str).decode()
    if b"\\u0000" in written:
        written = orjson.dumps(_storable(value), default=str)
    return written.decode()


def _storable(value: Any) -> Any:
    match value:
        case str():
            return _UNSTORABLE.sub("\ufffd", value)
        case bool():
            return value
        case int():
            return value if -(1 << 63) <= value < 1 << 63 else str(value)
        case Mapping():
            return {_storable(str(name)): _storable(part) for name, part in value.items()}
        case list() | tuple():
            return [_storable(part) for part in value]
        case _:
            return value


IDLE_SECONDS = 600
"""How long a transaction may do nothing in the database, as while a worker computes: who does so for longer hangs,
or is gone without a word."""


def create(
    url: str, *, pool_size: int, overflow: int = 4, patience: float = 30, statement_seconds: float | None = None
) -> Engine:
    """An engine over psycopg 3, which has up to `pool_size` and `overflow` connections: who finds none free waits so
    many seconds for one. A connection that broke, as after a restart of the server, is replaced unseen.

    With `statement_seconds` no statement takes longer, with its waiting for locks, and no transaction idles for
    `IDLE_SECONDS`.
    """
    options = "-c timezone=UTC"
    if statement_seconds is not None:
        options += f" -c statement_timeout={max(1, round(statement_seconds * 1_000))}"
        options += f" -c idle_in_transaction_session_timeout={IDLE_SECONDS * 1_000}"
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=overflow,
        pool_pre_ping=True,
        pool_timeout=patience,
        json_serializer=dumps,
        hide_parameters=True,  # errors are logged, and nobody's records with them
        json_deserializer=orjson.loads,
        connect_args={"options": options, "application_name": "sortation"},
    )
    event.listen(engine, "connect", adapt)
    event.listen(engine, "handle_error", _shorten)
    return engine


def _shorten(context: ExceptionContext) -> None:
    """Leaves the first line of what the server says: those behind it (DETAIL, CONTEXT) have values of rows in them."""
    for error in (context.original_exception, context.sqlalchemy_exception):
        if isinstance(error, psycopg.Error | DBAPIError) and error.args:
            error.args = (str(error.args[0]).partition("\n")[0], *error.args[1:])


def driver(connection: Connection) -> psycopg.Connection[tuple[Any, ...]]:
    """The driver's own connection, in the same transaction: for COPY, and for reads of very many rows."""
    found: psycopg.Connection[tuple[Any, ...]] | None = connection.connection.driver_connection
    assert found is not None  # noqa: S101 - narrows the type
    return found
