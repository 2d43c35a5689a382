"""Receipts: uploaded, listed, told what they say, linked to records, and handed out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

from flask import Response
from marshmallow import ValidationError
from werkzeug.http import dump_options_header

from core.domain.permissions import Permission
from core.domain.receipts import SAID, SHOWN_INLINE, Match, Receipt, RecordReceipt, Said, download_name
from core.errors import Invalid
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional, fails_with
from entrypoints.api.idempotency import posting
from entrypoints.api.responses import fields_of, if_match, json_response, page, versioned
from entrypoints.api.schemas.base import everything, page_of
from entrypoints.api.schemas.receipts import (
    ContentQuerySchema,
    LinkingSchema,
    ReceiptChangeSchema,
    ReceiptFormSchema,
    ReceiptPageSchema,
    ReceiptQuerySchema,
    ReceiptsQuerySchema,
    SuggestedRecordSchema,
    WholeReceiptSchema,
)
from entrypoints.api.state import actor, container
from entrypoints.api.uploads import received
from entrypoints.observability import trace_parent
from ports.receipt_storage import ReceiptFilter

blp = Blueprint("receipts", "What proves what records were for.", "/receipts")
CONTENT_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""Of a file that somebody else made: wherever a browser shows it, it has no origin, and runs and loads nothing."""
_BINARY = {"type": "string", "format": "binary"}
_FORM = {
    "file": _BINARY,
    "amount": {"type": "string"},
    "currency": {"type": "string"},
    "day": {"type": "string", "format": "date"},
    "merchant": {"type": "string"},
}


@blp.route("", "POST")
@needs(Permission.RECEIPTS_WRITE)
@fails_with(411)
@blp.query(ReceiptQuerySchema)
@blp.also(200, WholeReceiptSchema, description="The same content is there already: the receipt as it is.")
@blp.answer(201, WholeReceiptSchema)
@blp.documented(
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "properties": _FORM, "required": ["file"]}},
            "application/octet-stream": {"schema": _BINARY},
        },
    }
)
def upload_receipt(query: dict[str, Any]) -> Response:
    """Takes a picture, a PDF or an e-mail; its content alone says which. What stands beside the file is a person's word
    for what it says. The same content is one receipt, however often it is sent."""
    most = container().settings().max_receipt_bytes
    with received(query["filename"], most=most, beside=SAID) as upload:
        receipt, new = container().upload_receipt(
            posting(upload.content),
            upload.file,
            filename=upload.filename,
            said=_said(upload.beside),
            trace_parent=trace_parent(),
        )
    headers = {"Location": f"/api/v1/receipts/{receipt.id}"}
    return json_response(WholeReceiptSchema().dump(_whole(receipt, ())), 201 if new else 200, headers)


@blp.route("")
@needs(Permission.RECEIPTS_READ)
@blp.query(ReceiptsQuerySchema)
@blp.answer(200, ReceiptPageSchema)
def list_receipts(query: dict[str, Any]) -> dict[str, Any]:
    """Receipts, newest first."""
    before, limit = query.pop("before"), query.pop("limit")
    receipts = container().list_receipts(actor(), receipt_filter(query), before=before, limit=limit + 1)
    answer = page(receipts, limit, lambda receipt: str(receipt.id))
    return {**answer, "items": [written(receipt) for receipt in answer["items"]]}


@blp.route("/<uuid:receipt_id>")
@needs(Permission.RECEIPTS_READ)
@blp.answer(200, WholeReceiptSchema)
def get_receipt(receipt_id: UUID) -> dict[str, Any]:
    """A receipt with the records that it is linked to."""
    return _answered(*container().get_receipt(actor(), receipt_id))


@blp.route("/<uuid:receipt_id>", "PATCH")
@needs(Permission.RECEIPTS_WRITE)
@conditional
@blp.body(ReceiptChangeSchema)
@blp.answer(200, WholeReceiptSchema)
def change_receipt(changes: dict[str, Any], receipt_id: UUID) -> dict[str, Any]:
    """A person's word for what the receipt says; null takes a value away. Nothing that is read replaces it."""
    said = Said(**changes)
    return _answered(
        *container().change_receipt(actor(), receipt_id, version=if_match(), said=said, named=tuple(changes))
    )


@blp.route("/<uuid:receipt_id>", "DELETE")
@needs(Permission.RECEIPTS_WRITE)
@conditional
@blp.answer(204)
def delete_receipt(receipt_id: UUID) -> None:
    """Removes a receipt with its file and its links."""
    container().delete_receipt(actor(), receipt_id, version=if_match())


@blp.route("/<uuid:receipt_id>/content")
@needs(Permission.RECEIPTS_READ)
@blp.query(ContentQuerySchema)
@blp.answer(200, description="The file, of the type that its content has.", content_type="*/*")
def get_content(query: dict[str, Any], receipt_id: UUID) -> Response:
    """The file as it was uploaded."""
    return handed_out(*container().open_receipt(actor(), receipt_id), inline=query["inline"])


@blp.route("/<uuid:receipt_id>/suggestions")
@needs(Permission.RECEIPTS_READ)
@fails_with(403)
@blp.answer(200, page_of(SuggestedRecordSchema))
def list_suggestions(receipt_id: UUID) -> dict[str, Any]:
    """The records that the receipt may be of, the likeliest first. It takes `records:read`, too."""
    actor().require(Permission.RECORDS_READ)
    return everything(container().list_suggestions(actor(), receipt_id))


@blp.route("/<uuid:receipt_id>/suggestions/<uuid:record_id>", "DELETE")
@needs(Permission.RECEIPTS_WRITE)
@blp.answer(204)
def reject_suggestion(receipt_id: UUID, record_id: UUID) -> None:
    """The receipt is not of that record: it is suggested no more."""
    container().reject_suggestion(actor(), receipt_id, record_id)


@blp.route("/<uuid:receipt_id>/links", "POST")
@needs(Permission.RECEIPTS_WRITE)
@blp.body(LinkingSchema)
@blp.answer(200, WholeReceiptSchema)
def link_receipt(body: dict[str, Any], receipt_id: UUID) -> dict[str, Any]:
    """The receipt is of that record. A record may have several, and a receipt be of several."""
    return _answered(*container().link_receipt(posting(), receipt_id, body["record_id"]))


@blp.route("/<uuid:receipt_id>/links/<uuid:record_id>", "DELETE")
@needs(Permission.RECEIPTS_WRITE)
@blp.answer(204)
def unlink_receipt(receipt_id: UUID, record_id: UUID) -> None:
    """The receipt is not of that record after all."""
    container().unlink_receipt(actor(), receipt_id, record_id)


def receipt_filter(query: dict[str, Any]) -> ReceiptFilter:
    """As a query has it."""
    status = query.pop("status", None)
    return ReceiptFilter(matched=None if status is None else status == "matched", **query)


def handed_out(receipt: Receipt, pieces: Iterator[bytes], *, inline: bool) -> Response:
    """The file, to be kept; where asked to, pictures that browsers draw are `inline`."""
    shown = inline and receipt.mime_type in SHOWN_INLINE
    headers = {
        "Content-Disposition": _disposition("inline" if shown else "attachment", download_name(receipt)),
        "Content-Length": str(receipt.bytes),
        "Content-Security-Policy": CONTENT_POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    return Response(pieces, headers=headers, mimetype=receipt.mime_type)


def written(receipt: Receipt) -> dict[str, Any]:
    return fields_of(receipt, "tenant_id", "said") | fields_of(receipt.said) | {"url": _url(receipt.id)}


def written_of_record(one: RecordReceipt) -> dict[str, Any]:
    shown = {"receipt_id": one.match.receipt_id, "state": one.match.state.value, "score": one.match.score}
    named = {"filename": one.filename, "mime_type": one.mime_type, "url": _url(one.match.receipt_id)}
    return shown | named | fields_of(one.said)


def _disposition(kind: str, name: str) -> str:
    """The name in ASCII, and whole for who understands RFC 5987."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    named = {"filename": plain} if plain == name else {"filename": plain, "filename*": f"UTF-8''{quote(name, safe='')}"}
    return dump_options_header(kind, named)


def _answered(receipt: Receipt, links: Sequence[Match]) -> dict[str, Any]:
    versioned(receipt.version)
    return _whole(receipt, links)


def _whole(receipt: Receipt, links: Sequence[Match]) -> dict[str, Any]:
    return written(receipt) | {"records": [fields_of(match) for match in links]}


def _said(beside: Mapping[str, str]) -> Said:
    """Raises `Invalid`."""
    try:
        said: Said = ReceiptFormSchema().load({name: value for name, value in beside.items() if value.strip()})
    except ValidationError as error:
        raise Invalid("what stands beside the file is not valid: see errors", fields=error.messages_dict) from None
    return said


def _url(receipt_id: UUID) -> str:
    return f"/api/v1/receipts/{receipt_id}/content"
