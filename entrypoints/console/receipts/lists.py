"""The list of receipts, newest first, each with the records that it is of or may be of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from core.domain.permissions import Permission
from entrypoints.api.responses import page
from entrypoints.api.state import container
from entrypoints.console.asked import asked_id
from entrypoints.console.guard import me, page_for
from entrypoints.console.receipts import words
from entrypoints.console.receipts.filters import SELDOM, read_filters
from entrypoints.console.shell import show

blp = Blueprint("receipt_pages", __name__)
PATH = "/receipts"
PAGE = 50


@blp.get(PATH)
@page_for(Permission.RECEIPTS_READ)
def list_receipts() -> Response:
    return list_page()


def list_page(status: int = 200, *, errors: Mapping[str, str] | None = None) -> Response:
    """With what is wrong with a file that was sent, by field."""
    filters = read_filters(request.args)
    found: dict[str, Any] = {"items": [], "next": None}
    if filters.where is None:
        status = 422
    else:
        before = asked_id("after")
        matched = container().list_matched_receipts(me(), filters.where, before=before, limit=PAGE + 1)
        found = page(matched, PAGE, lambda one: str(one.receipt.id))
    return show(
        "receipts/list.html",
        status,
        words=words,
        filters=filters,
        seldom=sum(name in SELDOM for name in filters.given),
        found=found["items"],
        more=filters.address(PATH, after=found["next"]) if found["next"] else None,
        beyond="after" in request.args,
        here=filters.address(PATH, after=request.args.get("after")),
        most=container().settings().max_receipt_bytes,
        errors=errors or {},
    )
