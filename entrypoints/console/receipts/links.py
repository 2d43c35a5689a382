"""Which records a receipt is of, as people say. Each page that shows a receipt has these forms, and is come back to."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, request
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.errors import Conflict, Invalid
from entrypoints.api.access import wants_json
from entrypoints.api.state import container
from entrypoints.console.fields import an_id
from entrypoints.console.guard import me, own_path, page_for
from entrypoints.console.receipts.lists import PATH
from entrypoints.console.receipts.one import receipt_page
from entrypoints.console.shell import done

blp = Blueprint("receipt_links", __name__)


@blp.post(f"{PATH}/<uuid:receipt_id>/link")
@page_for(Permission.RECEIPTS_WRITE)
def link(receipt_id: UUID) -> Response:
    """The receipt is of that record: as it was `suggested`, or as somebody found by hand."""
    try:
        container().link_receipt(me(), receipt_id, _record_id(), suggested="suggested" in request.form)
    except (Invalid, Conflict) as error:
        if wants_json():
            raise
        return receipt_page(receipt_id, error.status, error=f"It was not linked: {error}.")
    return done(_back(receipt_id), "The receipt is linked to the record.")


@blp.post(f"{PATH}/<uuid:receipt_id>/unlink")
@page_for(Permission.RECEIPTS_WRITE)
def unlink(receipt_id: UUID) -> Response:
    """The receipt is not of that record after all."""
    container().unlink_receipt(me(), receipt_id, _record_id())
    return done(_back(receipt_id), "The receipt is of that record no more, and is not suggested for it again.")


@blp.post(f"{PATH}/<uuid:receipt_id>/reject")
@page_for(Permission.RECEIPTS_WRITE)
def reject(receipt_id: UUID) -> Response:
    """The receipt is not of the record that was suggested."""
    container().reject_suggestion(me(), receipt_id, _record_id())
    return done(_back(receipt_id), "That record is not suggested for it again.")


def _record_id() -> UUID:
    """Raises `Invalid`."""
    found = an_id(request.form.get("record_id"))
    if found is None:
        raise Invalid("no record was chosen")
    return found


def _back(receipt_id: UUID) -> str:
    """The page that the form stands on."""
    to = request.form.get("to")
    return own_path(to) if to else f"{PATH}/{receipt_id}"
