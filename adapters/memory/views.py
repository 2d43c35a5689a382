"""Saved views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from adapters.memory.state import Workspace, as_json, check_version, one
from core.domain.saved_views import SavedView
from core.errors import Conflict, Invalid


class MemoryViews:
    def __init__(self, workspace: Workspace) -> None:
        self._views = workspace.state.views
        self._members = workspace.state.memberships

    def list(self, user_id: UUID | None) -> Sequence[SavedView]:
        found = [view for view in self._views.values() if view.user_id in (None, user_id)]
        return sorted(found, key=lambda view: (view.name, view.id))

    def get(self, id: UUID) -> SavedView:
        return one(self._views, id, "view")

    def count(self, user_id: UUID | None) -> int:
        return sum(view.user_id == user_id for view in self._views.values())

    def add(self, view: SavedView) -> None:
        self._check(view)
        self._views[view.id] = replace(view, query=as_json(view.query))

    def update(self, view: SavedView) -> None:
        check_version(self.get(view.id).version, view.version)
        self._check(view)
        self._views[view.id] = replace(view, query=as_json(view.query), version=view.version + 1)

    def delete(self, id: UUID, version: int | None) -> None:
        check_version(self.get(id).version, version)
        del self._views[id]

    def _check(self, view: SavedView) -> None:
        if view.user_id is not None and view.user_id not in self._members:
            raise Invalid("who keeps views of their own is a member")
        others = (v for v in self._views.values() if v.id != view.id)
        if any((v.user_id, v.name) == (view.user_id, view.name) for v in others):
            raise Conflict("there is a view of this name already")
