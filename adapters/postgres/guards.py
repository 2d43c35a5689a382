"""What repositories share: guarded writes and the errors that they turn into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from psycopg.errors import ForeignKeyViolation, UniqueViolation
from sqlalchemy import ColumnElement, Connection, Table, and_, func, select
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict, Invalid, NotFound, VersionMismatch


def at(table: Table, tenant_id: UUID, id: UUID) -> ColumnElement[bool]:
    return and_(table.c.tenant_id == tenant_id, table.c.id == id)


def update_versioned(
    connection: Connection, table: Table, where: ColumnElement[bool], version: int, values: dict[str, Any]
) -> None:
    """Writes if the stored version is `version`, which rises; raises `VersionMismatch` or `NotFound`."""
    changed = connection.execute(
        table.update().where(where, table.c.version == version).values(**values, version=version + 1)
    )
    if changed.rowcount == 0:
        exists = connection.execute(select(func.count()).select_from(table).where(where)).scalar_one()
        raise VersionMismatch if exists else NotFound


def delete_versioned(connection: Connection, table: Table, where: ColumnElement[bool], version: int | None) -> None:
    """Deletes if the stored version is `version` (or whatever it is, for None)."""
    guard = where if version is None else and_(where, table.c.version == version)
    if connection.execute(table.delete().where(guard)).rowcount == 0:
        exists = connection.execute(select(func.count()).select_from(table).where(where)).scalar_one()
        raise VersionMismatch if exists else NotFound


@contextmanager
def conflicts(
    *, taken: str = "this exists already", used: str = "this is still used", unknown: str = ""
) -> Iterator[None]:
    """Says in words what a broken constraint means: `taken` by a unique one, `used` (or `unknown`) by a reference."""
    try:
        yield
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation):
            raise Conflict(taken) from error
        if isinstance(error.orig, ForeignKeyViolation):
            raise (Invalid(unknown) if unknown else Conflict(used)) from error
        raise
