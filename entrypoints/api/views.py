"""Saved views: filters of records by a name."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson

from core.domain.permissions import Permission
from core.domain.saved_views import SavedView
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional
from entrypoints.api.idempotency import posting
from entrypoints.api.responses import dumps, fields_of, if_match, part, tagged
from entrypoints.api.schemas.base import WholeListSchema, page_of
from entrypoints.api.schemas.records import RecordFilterSchema
from entrypoints.api.schemas.views import NewViewSchema, ViewChangeSchema, ViewSchema
from entrypoints.api.state import actor, container

blp = Blueprint("views", "Filters of records by a name.", "/views")


@blp.route("")
@needs(Permission.RECORDS_READ)
@blp.query(WholeListSchema)
@blp.answer(200, page_of(ViewSchema))
def list_views(query: dict[str, Any]) -> dict[str, Any]:
    """Your own and everybody's, by name."""
    return part([_written(view) for view in container().list_views(actor())], query)


@blp.route("", "POST")
@needs(Permission.RECORDS_READ)
@blp.body(NewViewSchema)
@blp.answer(201, ViewSchema)
def create_view(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Keeps filters by a name."""
    view = container().create_view(posting(), body["name"], _plain(body["query"]), shared=body["shared"])
    tagged(view.version)
    return _written(view), {"Location": f"/api/v1/views/{view.id}"}


@blp.route("/<uuid:view_id>")
@needs(Permission.RECORDS_READ)
@conditional
@blp.answer(200, ViewSchema)
def get_view(view_id: UUID) -> dict[str, Any]:
    """A view, also one whose filters name what is gone."""
    view = container().get_view(actor(), view_id)
    tagged(view.version)
    return _written(view)


@blp.route("/<uuid:view_id>", "PATCH")
@needs(Permission.RECORDS_READ)
@conditional
@blp.body(ViewChangeSchema)
@blp.answer(200, ViewSchema)
def change_view(changes: dict[str, Any], view_id: UUID) -> dict[str, Any]:
    """Renames a view, gives it other filters, shares it or keeps it to yourself."""
    if "query" in changes:
        changes["query"] = _plain(changes["query"])
    view = container().change_view(actor(), view_id, version=if_match(), **changes)
    tagged(view.version)
    return _written(view)


@blp.route("/<uuid:view_id>", "DELETE")
@needs(Permission.RECORDS_READ)
@conditional
@blp.answer(204)
def delete_view(view_id: UUID) -> None:
    """Forgets a view; the records that it shows stay."""
    container().delete_view(actor(), view_id, version=if_match())


def _plain(query: dict[str, Any]) -> Any:
    """The filters as JSON has them, and a query string may."""
    return orjson.loads(dumps(RecordFilterSchema().dump(query)))


def _written(view: SavedView) -> dict[str, Any]:
    return fields_of(view, "user_id") | {"shared": view.user_id is None}
