"""The list of records, and all of them as a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.categories import paths
from core.domain.permissions import Permission
from core.errors import Invalid, NotFound
from entrypoints.api.cursors import read_day_cursor, write_cursor
from entrypoints.api.limits import Kind, limited
from entrypoints.api.records_export import exported
from entrypoints.api.responses import page
from entrypoints.api.state import container
from entrypoints.console.fields import an_id
from entrypoints.console.guard import me, page_for
from entrypoints.console.records.filters import SELDOM, STAGES, STATUSES, Filters, months, read_filters
from entrypoints.console.records.views import shown_views
from entrypoints.console.shell import show

blp = Blueprint("record_pages", __name__)
PATH = "/records"
PAGE = 50


@blp.get(PATH)
@page_for(Permission.RECORDS_READ)
def list_records() -> Response:
    return records_page()


def records_page(status: int = 200, *, error: str = "", chosen: Collection[UUID] = ()) -> Response:
    """The list as the address asks for it, with what was wrong with what was sent of it, and what was chosen then."""
    filters = read_filters(request.args)
    categories = {str(id): path for id, path in paths(container().list_categories(me())).items()}
    connections = {str(c.id): c.name for c in container().list_connections(me())}
    views = shown_views()
    view = next((one for one in views if str(one.view.id) == request.args.get("view")), None)
    in_view = str(view.view.id) if view else None
    found: dict[str, Any] = {"items": [], "next": None}
    if filters.where is not None:
        after = request.args.get("after")
        before = None if not after else read_day_cursor(after)
        dated = container().list_latest_records(me(), filters.where, before=before, limit=PAGE + 1)
        found = page(dated, PAGE, lambda one: write_cursor(one[0], one[1]["id"]))
    words: dict[str, Mapping[str, str]] = {
        "category_id": categories,
        "connection_id": connections,
        "stage": STAGES,
        "import_id": _import_name(filters),
        "month": dict(months(container().clock().now().date(), filters.given.get("month"))),
    }
    return show(
        "records/list.html",
        status if filters.where is not None else 422,
        error=error,
        chosen=chosen,
        asked=request.query_string.decode("ascii", "ignore"),
        filters=filters,
        found=found["items"],
        more=filters.address(PATH, view=in_view, after=found["next"]) if found["next"] else None,
        beyond="after" in request.args,
        chips=filters.chips(PATH, words, view=in_view),
        choices={
            "status": STATUSES,
            "stage": STAGES,
            "category_id": _by_name(categories),
            "connection_id": _by_name(connections),
            "month": months(container().clock().now().date(), filters.given.get("month")),
        },
        views=views,
        view=view,
        here=filters.address("").removeprefix("?"),
        seldom=sum(name in SELDOM for name in filters.given),
        categories=categories,
        export=filters.address(f"{PATH}/export"),
    )


@blp.get(f"{PATH}/export")
@limited(Kind.COSTLY)
@page_for(Permission.RECORDS_READ)
def export_records() -> AnyResponse:
    """What is filtered, as CSV. Raises `Invalid` for a filter that does not hold."""
    filters = read_filters(request.args)
    if filters.where is None:
        raise Invalid("this filter does not hold: see the list", fields=dict(filters.errors))
    return exported(me(), "csv", filters.where)


def _by_name(names: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(names.items(), key=lambda pair: pair[1].casefold())


def _import_name(filters: Filters) -> dict[str, str]:
    """The file's name, where the list is that of an import."""
    import_id = an_id(filters.given.get("import_id"))
    if import_id is None:
        return {}
    try:
        return {filters.given["import_id"]: container().get_import(me(), import_id).filename}
    except NotFound:
        return {}
