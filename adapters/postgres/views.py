"""Saved views."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, RowMapping, func, insert, or_, select

from adapters.postgres.guards import at, conflicts, delete_versioned, update_versioned
from adapters.postgres.view_tables import saved_views
from core.domain.saved_views import SavedView
from core.errors import NotFound

_TAKEN = "there is a view of this name already"
_NO_MEMBER = "who keeps views of their own is a member"


class PostgresViews:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def list(self, user_id: UUID | None) -> Sequence[SavedView]:
        c = saved_views.c
        query = select(saved_views).where(
            c.tenant_id == self._tenant_id, or_(c.user_id.is_(None), c.user_id == user_id)
        )
        found = [_to_view(row) for row in self._connection.execute(query).mappings()]
        return sorted(found, key=lambda view: (view.name, view.id))

    def get(self, id: UUID) -> SavedView:
        row = (
            self._connection.execute(select(saved_views).where(at(saved_views, self._tenant_id, id))).mappings().first()
        )
        if row is None:
            raise NotFound("this view does not exist")
        return _to_view(row)

    def count(self, user_id: UUID | None) -> int:
        c = saved_views.c
        query = select(func.count()).where(c.tenant_id == self._tenant_id, c.user_id.is_not_distinct_from(user_id))
        return int(self._connection.execute(query).scalar_one())

    def add(self, view: SavedView) -> None:
        values = {name: getattr(view, name) for name in SavedView.__slots__}
        with conflicts(taken=_TAKEN, unknown=_NO_MEMBER):
            self._connection.execute(insert(saved_views).values(values | {"tenant_id": self._tenant_id}))

    def update(self, view: SavedView) -> None:
        values = {"user_id": view.user_id, "name": view.name, "query": view.query}
        where = at(saved_views, self._tenant_id, view.id)
        with conflicts(taken=_TAKEN, unknown=_NO_MEMBER):
            update_versioned(self._connection, saved_views, where, view.version, values)

    def delete(self, id: UUID, version: int | None) -> None:
        delete_versioned(self._connection, saved_views, at(saved_views, self._tenant_id, id), version)


def _to_view(row: RowMapping) -> SavedView:
    return SavedView(**{name: row[name] for name in SavedView.__slots__})
