"""Saved views: filters of the list by a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from flask import Blueprint, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.domain.saved_views import MAX_NAME, SavedView
from core.errors import Conflict, Invalid, VersionMismatch
from entrypoints.api.state import container
from entrypoints.api.views import plain_query
from entrypoints.console.fields import CHANGED, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.records.filters import Filters, read_filters
from entrypoints.console.shell import done

blp = Blueprint("record_views", __name__)
PATH = "/records"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownView:
    """A view with where it leads to. `mine` says that the person may change it."""

    view: SavedView
    address: str
    mine: bool


def shown_views() -> Sequence[ShownView]:
    actor = me()
    shares = Permission.RECORDS_WRITE in actor.permissions
    return [
        ShownView(view=view, address=address_of(view), mine=view.user_id is not None or shares)
        for view in container().list_views(actor)
    ]


def address_of(view: SavedView) -> str:
    pairs = [("view", str(view.id))]
    for name, value in view.query.items():
        pairs += [(name, str(one)) for one in (value if isinstance(value, list) else [value])]
    return f"{PATH}?{urlencode(pairs)}"


@blp.post(f"{PATH}/views")
@page_for(Permission.RECORDS_READ)
def create_view() -> Response:
    filters, name = _filters(), request.form.get("name", "")
    if (said := _missing(filters, name)) is not None:
        return _back(said)
    try:
        made = container().create_view(me(), name, _query(filters), shared=bool(request.form.get("shared")))
    except (Invalid, Conflict) as error:
        return _back(str(error))
    return done(address_of(made), f"“{made.name}” is kept.")


@blp.post(f"{PATH}/views/<uuid:view_id>")
@page_for(Permission.RECORDS_READ)
def change_view(view_id: UUID) -> Response:
    """Renames it, and has it filter as the list does now."""
    container().get_view(me(), view_id)
    filters, name = _filters(), request.form.get("name", "")
    if (said := _missing(filters, name)) is not None:
        return _back(said)
    try:
        made = container().change_view(
            me(),
            view_id,
            version=sent_version(),
            name=name,
            query=_query(filters),
            shared=bool(request.form.get("shared")),
        )
    except VersionMismatch:
        return _back(CHANGED)
    except (Invalid, Conflict) as error:
        return _back(str(error))
    return done(address_of(made), f"“{made.name}” is saved.")


@blp.post(f"{PATH}/views/<uuid:view_id>/delete")
@page_for(Permission.RECORDS_READ)
def delete_view(view_id: UUID) -> Response:
    view = container().get_view(me(), view_id)
    try:
        container().delete_view(me(), view_id, version=sent_version())
    except VersionMismatch:
        return _back(CHANGED)
    return done(PATH, f"The view “{view.name}” is forgotten. Its records stay.")


def _filters() -> Filters:
    """Those of the list that the form stands on."""
    return read_filters(MultiDict(parse_qsl(request.form.get("query", ""))))


def _query(filters: Filters) -> Any:
    return plain_query(dict(filters.loaded))


def _missing(filters: Filters, name: str) -> str | None:
    if filters.where is None:
        return "This filter does not hold, so it can't be kept: see what is wrong with it."
    return None if 0 < len(name.strip()) <= MAX_NAME else f"Give the view a name of 1 to {MAX_NAME} characters."


def _back(said: str) -> Response:
    """To the list as it was, which says what is wrong."""
    filters = _filters()
    return done(filters.address(PATH, view=request.form.get("view")), said, "danger")
