"""The review queue, and decisions in it."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any
from uuid import UUID

from core.domain.approvals import Answer, Verdict
from core.domain.permissions import Permission
from core.domain.records import Record
from core.errors import Invalid
from core.usecases.review import QueueItem
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint
from entrypoints.api.idempotency import posting
from entrypoints.api.responses import page, tagged
from entrypoints.api.schemas.approvals import AnswerSchema, AnswersSchema, QueueItemSchema, QueueQuerySchema
from entrypoints.api.schemas.base import everything, page_of
from entrypoints.api.schemas.records import RecordPageSchema, WholeRecordSchema
from entrypoints.api.state import actor, container

blp = Blueprint("approvals", "What waits for a person.", "/approvals")


@blp.route("")
@needs(Permission.APPROVALS_READ)
@blp.query(QueueQuerySchema)
@blp.answer(200, page_of(QueueItemSchema))
def list_queue(query: dict[str, Any]) -> dict[str, Any]:
    """Open items with their records, the most urgent first."""
    after = read_cursor(query["after"]) if query["after"] is not None else None
    limit = query["limit"]
    items = container().list_queue(actor(), after=after, limit=limit + 1, group_key=query["group_key"])
    answer = page(items, limit, lambda item: write_cursor(item.approval.urgency, item.approval.id))
    return {**answer, "items": [_written(item) for item in answer["items"]]}


@blp.route("/<uuid:approval_id>", "POST")
@needs(Permission.APPROVALS_DECIDE)
@blp.body(AnswerSchema)
@blp.answer(200, WholeRecordSchema)
def decide(body: dict[str, Any], approval_id: UUID) -> Record:
    """Approves the suggested category, or overrides it. Answers with the record as it is now."""
    [record] = container().decide_approvals(posting(), [_answer(approval_id=approval_id, **body)])
    tagged(record.version)
    return record


@blp.route("/bulk", "POST")
@needs(Permission.APPROVALS_DECIDE)
@blp.body(AnswersSchema)
@blp.answer(200, RecordPageSchema)
def decide_many(body: dict[str, Any]) -> dict[str, Any]:
    """Carries out all answers or none. Answers with the records as they are now."""
    return everything(container().decide_approvals(posting(), [_answer(**answer) for answer in body["answers"]]))


def write_cursor(urgency: float, id: UUID) -> str:
    return base64.urlsafe_b64encode(f"{urgency!r},{id}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[float, UUID]:
    """Raises `Invalid` for what `write_cursor` never wrote."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        urgency, _, id = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").partition(",")
        if math.isfinite(number := float(urgency)):
            return number, UUID(id)
    except (ValueError, binascii.Error):
        pass
    raise Invalid("after is the `next` of the page before", fields={"after": ["Not a cursor."]})


def _answer(approval_id: UUID, verdict: str, category_id: UUID | None) -> Answer:
    return Answer(approval_id=approval_id, verdict=Verdict(verdict), category_id=category_id)


def _written(item: QueueItem) -> dict[str, Any]:
    names = ("id", "suggested_id", "confidence", "urgency", "group_key", "created_at")
    return {name: getattr(item.approval, name) for name in names} | {"record": item.record}
