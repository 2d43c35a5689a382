"""Pairs of rules that give different categories to the same records."""

from __future__ import annotations

from flask import Blueprint, Response, request

from core.domain.permissions import Permission
from entrypoints.api.limits import Kind, limited
from entrypoints.api.schemas.rules import DEFAULT_LAST
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.rules.wording import category_names
from entrypoints.console.shell import show
from ports.storage import RecordFilter

blp = Blueprint("console_rule_conflicts", __name__)
PAGE = 25


@blp.get("/rules/conflicts")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_READ)
def conflicts() -> Response:
    first = max(request.args.get("after", 0, type=int), 0)
    found = container().list_conflicts(me(), where=RecordFilter(), last=DEFAULT_LAST)
    page = found[first : first + PAGE]
    samples = {id for pair in page for id in pair.samples}
    reads = Permission.RECORDS_READ in me().permissions
    return show(
        "rules/conflicts.html",
        pairs=page,
        total=len(found),
        last=DEFAULT_LAST,
        categories=category_names(),
        records=container().find_records(me(), samples) if reads else {},
        next=f"/rules/conflicts?after={first + PAGE}" if len(found) > first + PAGE else None,
    )
