"""The ends that a category can have: merged into another, taken apart, or deleted."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, request
from werkzeug.wrappers import Response

from core.domain.category_changes import Belongings
from core.domain.permissions import Permission
from core.errors import Conflict, Invalid, VersionMismatch
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.console.categories.tree import PATH, category_page
from entrypoints.console.fields import CHANGED, an_id, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import done

blp = Blueprint("category_ends", __name__)


@blp.post(f"{PATH}/<uuid:category_id>/merge")
@limited(Kind.COSTLY)
@page_for(Permission.CATEGORIES_WRITE)
def merge(category_id: UUID) -> Response:
    category = container().get_category(me(), category_id)
    into = an_id(request.form.get("into"))
    if into is None:
        return category_page(category, 422, errors={"into": "Choose the category that remains."})
    try:
        merged = container().merge_category(me(), category_id, into, version=sent_version())
    except Invalid as error:
        return category_page(category, error.status, errors={"into": str(error)})
    except VersionMismatch:
        return category_page(category, 409, error=CHANGED)
    moved = _said(merged.moved)
    return done(f"{PATH}/{into}", f"“{category.name}” is “{merged.into.name}” from now on; {moved} came along.")


@blp.post(f"{PATH}/<uuid:category_id>/unsort")
@limited(Kind.COSTLY)
@page_for(Permission.CATEGORIES_WRITE)
def unsort(category_id: UUID) -> Response:
    category = container().get_category(me(), category_id)
    try:
        lost = container().unsort_category(me(), category_id, version=sent_version())
    except VersionMismatch:
        return category_page(category, 409, error=CHANGED)
    return done(PATH, f"“{category.name}” is taken apart. To it belonged {_said(lost)}.")


@blp.post(f"{PATH}/<uuid:category_id>/delete")
@page_for(Permission.CATEGORIES_WRITE)
def delete(category_id: UUID) -> Response:
    category = container().get_category(me(), category_id)
    try:
        container().delete_category(me(), category_id, version=sent_version())
    except VersionMismatch:
        return category_page(category, 409, error=CHANGED)
    except Conflict as error:
        return category_page(category, error.status, error=str(error))
    return done(PATH, f"“{category.name}” is deleted.")


def _said(belongings: Belongings) -> str:
    return str(belongings) or "nothing"
