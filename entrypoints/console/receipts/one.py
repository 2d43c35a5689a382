"""A receipt: its file, what it says, and the records that it is of or may be of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from marshmallow import Schema, ValidationError, fields

from core.domain.events import EventFilter
from core.domain.permissions import Permission
from core.domain.receipts import SAID, SHOWN_INLINE, Receipt
from core.domain.records import MAX_SHORT
from core.errors import NotFound
from entrypoints.api.receipts import handed_out
from entrypoints.api.schemas.records import comparable
from entrypoints.api.state import container
from entrypoints.console.events.sentences import sentence
from entrypoints.console.fields import said_of
from entrypoints.console.guard import in_pages, me, page_for
from entrypoints.console.receipts import words
from entrypoints.console.shell import show
from ports.storage import RecordFilter

blp = Blueprint("receipt_page", __name__)
FOUND = 10
"""Records that a search shows: who looks for one says more of it."""
MOST_EVENTS = 200
_NO_AMOUNT = "Not an amount, such as 12.99."


class _SearchSchema(Schema):
    text = fields.String()
    amount = fields.Decimal(validate=comparable, error_messages={"invalid": _NO_AMOUNT, "special": _NO_AMOUNT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """For a record to link: what was typed, and what is like that; None where nothing was searched for."""

    text: str
    amount: str
    error: str
    records: Sequence[Mapping[str, Any]] | None


@blp.get("/receipts/<uuid:receipt_id>")
@page_for(Permission.RECEIPTS_READ)
def get_receipt(receipt_id: UUID) -> Response:
    return receipt_page(receipt_id)


@blp.get("/receipts/<uuid:receipt_id>/content")
@page_for(Permission.RECEIPTS_READ)
@in_pages
def get_content(receipt_id: UUID) -> Response:
    """The file; a picture to be shown where `inline` is asked for."""
    return handed_out(*container().open_receipt(me(), receipt_id), inline="inline" in request.args)


def receipt_page(
    receipt_id: UUID,
    status: int = 200,
    *,
    error: str = "",
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    """With what went wrong, in all or by field, and what was `typed` in place of what the receipt says."""
    actor = me()
    matched = container().get_matched_receipt(actor, receipt_id)
    receipt = matched.receipt
    zone = container().get_tenant(actor).zone
    return show(
        "receipts/one.html",
        status,
        words=words,
        receipt=receipt,
        connection=_name_of_connection(receipt),
        matches=[
            (one.match, one.record, words.evidence(receipt.said, receipt.uploaded_at, one.record, zone))
            for one in matched.records
        ],
        inline=receipt.mime_type in SHOWN_INLINE,
        search=_search() if Permission.RECORDS_READ in actor.permissions else None,
        linked={one.record.id for one in matched.records if receipt.links},
        history=_history(receipt),
        error=error,
        errors=errors or {},
        typed={name: written(receipt, name) for name in SAID} | dict(typed or {}),
    )


def written(receipt: Receipt, name: str) -> str:
    """A field of what it says, as the form shows it."""
    value = getattr(receipt.said, name)
    return "" if value is None else format(value, "f") if isinstance(value, Decimal) else str(value)


def _search() -> Search | None:
    text, amount = (request.args.get(name, "").strip().replace("\x00", "") for name in ("text", "amount"))
    if not ({"text", "amount"} & request.args.keys()):
        return Search(text="", amount="", error="", records=None)
    try:
        asked = _SearchSchema().load({"text": text[:MAX_SHORT]} | ({"amount": amount} if amount else {}))
    except ValidationError as wrong:
        return Search(text=text, amount=amount, error=said_of(wrong)["amount"], records=None)
    where = RecordFilter(text=asked["text"] or None)
    if not amount:
        return Search(text=text, amount="", error="", records=_records(where))
    value = abs(asked["amount"])
    both = [one for signed in dict.fromkeys((-value, value)) for one in _records(_of(where, signed))]
    return Search(text=text, amount=amount, error="", records=both[:FOUND])


def _of(where: RecordFilter, amount: Decimal) -> RecordFilter:
    return replace(where, min_amount=amount, max_amount=amount)


def _records(where: RecordFilter) -> Sequence[Mapping[str, Any]]:
    return [row for _, row in container().list_latest_records(me(), where, before=None, limit=FOUND)]


def _history(receipt: Receipt) -> Sequence[tuple[str, object, str]] | None:
    """What happened to it, the latest first, when, and by whom; None for who may not read the log."""
    if Permission.EVENTS_READ not in me().permissions:
        return None
    found = container().list_events(me(), EventFilter(subject_id=receipt.id), after=0, limit=MOST_EVENTS, newest=True)
    return [(sentence(event.type, event.payload), event.occurred_at, event.actor) for event in found]


def _name_of_connection(receipt: Receipt) -> str | None:
    if receipt.connection_id is None:
        return None
    try:
        return container().get_connection(me(), receipt.connection_id).name
    except NotFound:
        return None
