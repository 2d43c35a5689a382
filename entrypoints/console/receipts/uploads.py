"""Files that people bring: by a form one, by a script as many as were dropped, one after the other."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.domain.receipts import Receipt, Said
from core.errors import Invalid, TooLarge, UnknownFormat
from entrypoints.api.access import wants_json
from entrypoints.api.responses import json_response, polled
from entrypoints.api.state import container
from entrypoints.api.uploads import Upload, received
from entrypoints.console.guard import me, page_for, with_file
from entrypoints.console.receipts.lists import PATH, list_page
from entrypoints.console.receipts.words import TAKEN, in_short, likelihood, of_record, size
from entrypoints.console.shell import done
from entrypoints.observability import trace_parent

blp = Blueprint("receipt_uploads", __name__)


def most() -> int:
    return container().settings().max_receipt_bytes


@blp.post(PATH)
@page_for(Permission.RECEIPTS_WRITE)
@with_file(most)
def upload() -> Response:
    """Scripts are told how far it is; people are sent to its page."""
    try:
        receipt, new = kept()
    except (Invalid, TooLarge) as error:
        if wants_json():
            raise
        return list_page(error.status, errors={"file": str(error)})
    if wants_json():
        return json_response(state_of(receipt.id) | {"new": new}, 201 if new else 200)
    return done(f"{PATH}/{receipt.id}", said_of(receipt, new))


@blp.get(f"{PATH}/<uuid:receipt_id>/state")
@page_for(Permission.RECEIPTS_READ)
def state(receipt_id: UUID) -> Response:
    """How far it is read, for a page that waits for that."""
    polled()
    return json_response(state_of(receipt_id))


def state_of(receipt_id: UUID) -> dict[str, Any]:
    matched = container().get_matched_receipt(me(), receipt_id)
    receipt = matched.receipt
    written = {name: getattr(receipt, name) for name in ("id", "filename", "state", "failure", "links", "version")}
    first = matched.records[0] if matched.records else None
    if first is None:
        return written | {"said": in_short(receipt.said), "record": None}
    shown = {
        "id": first.record.id,
        "words": of_record(first.record),
        "state": first.match.state.value,
        "likely": likelihood(first.match.score),
    }
    return written | {"said": in_short(receipt.said), "record": shown}


def kept() -> tuple[Receipt, bool]:
    """Raises `Invalid` and `TooLarge`, in words for who chose the file."""
    with received("receipt", most=most(), beside=("form_token",)) as upload:
        try:
            return container().upload_receipt(
                me(), upload.file, filename=upload.filename, said=Said(), trace_parent=trace_parent()
            )
        except TooLarge:
            raise TooLarge(f"{_named(upload)} is too large: a receipt has at most {size(most())}.") from None
        except UnknownFormat:
            raise UnknownFormat(f"{_named(upload)} is by its content none of what a receipt may be: {TAKEN}.") from None
        except Invalid as error:
            raise Invalid(f"{_named(upload)} was not taken: {error}.") from None


def _named(upload: Upload) -> str:
    return f"“{upload.filename}”"


def said_of(receipt: Receipt, new: bool) -> str:
    return f"“{receipt.filename}” is kept." if new else f"The same file is here already, as “{receipt.filename}”."
