"""What people say that a receipt says, and its end."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from flask import Blueprint, request
from marshmallow import ValidationError
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.domain.receipts import SAID, Said
from core.errors import Invalid, VersionMismatch
from entrypoints.api.schemas.receipts import ReceiptChangeSchema
from entrypoints.api.state import container
from entrypoints.console.fields import CHANGED, said_of, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.receipts.lists import PATH
from entrypoints.console.receipts.one import receipt_page, written
from entrypoints.console.shell import done

blp = Blueprint("receipt_changes", __name__)


@blp.post(f"{PATH}/<uuid:receipt_id>/said")
@page_for(Permission.RECEIPTS_WRITE)
def change_said(receipt_id: UUID) -> Response:
    """What nobody touched stays what it was: read, or said by somebody before."""
    receipt, _ = container().get_receipt(me(), receipt_id)
    typed = {name: request.form.get(name, "").strip() for name in SAID}
    typed["currency"] = typed["currency"].upper()
    if sent_version() != receipt.version:
        return receipt_page(receipt_id, 409, error=CHANGED, typed=typed)
    changed = {name: value or None for name, value in typed.items() if value != written(receipt, name)}
    if not changed:
        return done(f"{PATH}/{receipt_id}", "Nothing was changed.", "info")
    try:
        said = Said(**cast("dict[str, Any]", ReceiptChangeSchema().load(changed)))
        container().change_receipt(me(), receipt_id, version=receipt.version, said=said, named=tuple(changed))
    except ValidationError as wrong:
        return receipt_page(receipt_id, 422, errors=said_of(wrong), typed=typed)
    except Invalid as wrong:
        return receipt_page(receipt_id, 422, errors=_by_field(wrong), error=str(wrong), typed=typed)
    except VersionMismatch:
        return receipt_page(receipt_id, 409, error=CHANGED, typed=typed)
    return done(f"{PATH}/{receipt_id}", "What it says is saved, and records were looked for anew.")


@blp.post(f"{PATH}/<uuid:receipt_id>/delete")
@page_for(Permission.RECEIPTS_WRITE)
def delete(receipt_id: UUID) -> Response:
    try:
        container().delete_receipt(me(), receipt_id, version=sent_version())
    except VersionMismatch:
        return receipt_page(receipt_id, 409, error=CHANGED)
    return done(PATH, "The receipt is deleted, with its file and its links.")


def _by_field(wrong: Invalid) -> dict[str, str]:
    fields: dict[str, list[str]] = wrong.details.get("fields") or {}
    return {name: said[0] for name, said in fields.items()}
