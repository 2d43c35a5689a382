"""Watches what the app's role is asked: every statement on a tenant's table stands in a transaction that named its
tenant, and says itself whose rows it means, so that row-level security is the second lock and never the only one.

It watches the driver's cursors, so that it sees what goes by SQLAlchemy and what doesn't.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

from adapters.postgres.tables import TENANT_TABLES

_NAMES_TENANT = "set_config('app.tenant_id'"
_NOISE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_TABLES = "|".join(sorted(TENANT_TABLES, key=len, reverse=True))
_MENTION = re.compile(
    rf"(?P<how>\bFROM|\bJOIN|\bJOIN LATERAL|\bUPDATE|\bINTO|\bUSING|,)\s+(?:ONLY\s+)?(?P<table>{_TABLES})\b(?!\s*[.(])"
    r"(?:\s+(?:AS\s+)?(?P<alias>(?!SET\b|WHERE\b|ON\b|JOIN\b|LEFT\b|CROSS\b|ORDER\b|GROUP\b|USING\b|LIMIT\b|FOR\b|"
    r"HAVING\b|UNION\b|VALUES\b|RETURNING\b|INNER\b|FULL\b|RIGHT\b|SELECT\b|DEFAULT\b|TABLESAMPLE\b|FROM\b)[a-z_]\w*))?",
    re.IGNORECASE,
)
_GIVEN = re.compile(r"\btenant_id\s*(?:=|IN)\s*\(*(?:%|\$|'|CAST\()", re.IGNORECASE)
_CLAUSE = re.compile(r"\b(?:SELECT|FROM|WHERE|ON|SET|BY|RETURNING|VALUES|INTO|USING|ARRAY)\b", re.IGNORECASE)
_BARE = re.compile(r"(?<![.\w])tenant_id\s*=\s*(?:%|\$|:|'|CAST\()", re.IGNORECASE)


@contextmanager
def watched(engine: Engine) -> Iterator[None]:
    """Fails at its end when anything that was asked meanwhile was out of scope."""
    faults = watch(engine)
    yield
    assert not faults, faults[0]


def watch(engine: Engine) -> list[str]:
    """The list that faults are added to."""
    faults: list[str] = []

    class Watched(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            _look(self, query, faults)
            return super().execute(query, *args, **kwargs)

        def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            _look(self, query, faults)
            return super().executemany(query, *args, **kwargs)

    class WatchedAtServer(psycopg.ServerCursor[Any]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            _look(self, query, faults)
            return super().execute(query, *args, **kwargs)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.cursor_factory, connection.server_cursor_factory = Watched, WatchedAtServer

    return faults


def _look(cursor: psycopg.Cursor[Any] | psycopg.ServerCursor[Any], query: Any, faults: list[str]) -> None:
    connection: Any = cursor.connection
    words = _words(query, connection)
    if _NAMES_TENANT in words:
        connection.names_tenant = True
        return
    if connection.info.transaction_status == TransactionStatus.IDLE:
        connection.names_tenant = False
    if unscoped := unscoped_tables(words):
        faults.append(f"does not say whose rows of {', '.join(unscoped)} it means: {words}")
    if _MENTION.search(_NOISE.sub("''", words)) and not getattr(connection, "names_tenant", False):
        faults.append(f"in a transaction that named no tenant: {words}")


def _words(query: Any, connection: Any) -> str:
    if isinstance(query, sql.Composable):
        return query.as_string(connection)
    return query.decode() if isinstance(query, bytes) else str(query)


@cache
def unscoped_tables(statement: str) -> tuple[str, ...]:
    """The tenants' tables in a statement of which it does not say by `tenant_id` whose rows it means.

    A mention is scoped where its name (or alias) is compared by `tenant_id`, and the statement is given one; what is
    compared without a name counts for one mention.
    """
    plain = " ".join(_NOISE.sub("''", statement).split())
    bare, unscoped = len(_BARE.findall(plain)), []
    for mention in _MENTION.finditer(plain):
        if mention["how"].upper() == "INTO":
            continue  # of a row that is added, the column is NOT NULL and the policy's to check
        if mention["how"] == "," and not _lists_tables(plain[: mention.start()]):
            continue  # a column of that name
        name = re.escape(mention["alias"] or mention["table"])
        if _GIVEN.search(plain) and re.search(
            rf"\b{name}\.tenant_id\s*=|=\s*{name}\.tenant_id\b", plain, re.IGNORECASE
        ):
            continue
        if bare:
            bare -= 1
        else:
            unscoped.append(mention["table"])
    return tuple(unscoped)


def _lists_tables(before: str) -> bool:
    """Whether what follows a comma after these words is a table."""
    clauses = _CLAUSE.findall(before)
    return bool(clauses) and clauses[-1].upper() in ("FROM", "USING")
