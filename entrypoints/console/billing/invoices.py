"""Invoices: asked of who takes the payments, now."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response, request

from core.domain.payments import Invoice
from core.domain.permissions import Permission
from core.errors import SortationError
from entrypoints.api.schemas.billing import MAX_INVOICES
from entrypoints.api.state import container
from entrypoints.console.billing import words
from entrypoints.console.billing.parts import REFUSALS, asking, shared
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import show

blp = Blueprint("billing_invoices", __name__)
SHOWN = 12


@blp.get("/billing/invoices")
@page_for(Permission.BILLING_READ)
def invoices() -> Response:
    state = container().show_billing(me())
    most = MAX_INVOICES if "all" in request.args else SHOWN
    found: Sequence[Invoice] = ()
    error: SortationError | None = None
    try:
        with asking():
            found = container().list_invoices(me(), limit=min(most + 1, MAX_INVOICES))
    except REFUSALS as refused:
        error = refused
    return show(
        "billing/invoices.html",
        200 if error is None else error.status,
        **shared(state),
        invoices=found[:most],
        more=len(found) > most,
        cut=len(found) == MAX_INVOICES,
        states=words.INVOICES,
        error=error,
    )
