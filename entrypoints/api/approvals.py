"""The review queue, and decisions in it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.approvals import Answer, Group, Verdict
from core.domain.permissions import Permission
from core.domain.records import Record
from core.errors import Invalid
from core.usecases.review import GroupAnswer, QueueItem
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, fails_with
from entrypoints.api.cursors import read_cursor, read_group_cursor, read_time_cursor, write_cursor
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.receipts import written_of_record
from entrypoints.api.responses import fields_of, page, tagged
from entrypoints.api.schemas.approvals import (
    AnswerSchema,
    AnswersSchema,
    GroupDecidedSchema,
    GroupSchema,
    GroupsQuerySchema,
    QueueItemSchema,
    QueueQuerySchema,
)
from entrypoints.api.schemas.base import everything, page_of
from entrypoints.api.schemas.records import RecordPageSchema, WholeRecordSchema
from entrypoints.api.state import actor, container

_OPEN = ("id", "suggested_id", "urgency", "group_key", "created_at")
_DECIDED = (
    "confidence", "verdict", "category_id", "decided_by", "decided_at", "withdrawn_by", "withdrawn_at",
)  # fmt: skip

blp = Blueprint("approvals", "What waits for a person.", "/approvals")


@blp.route("")
@needs(Permission.APPROVALS_READ)
@blp.query(QueueQuerySchema)
@blp.answer(200, page_of(QueueItemSchema))
def list_queue(query: dict[str, Any]) -> dict[str, Any]:
    """Open items with their records, the most urgent first. With `status` those that were decided (and whose answers
    stand, or were withdrawn), with who and when."""
    limit = query["limit"]
    if query["status"] != "open":
        return _decided(query, limit)
    after = read_cursor(query["after"]) if query["after"] is not None else None
    items = container().list_queue(actor(), after=after, limit=limit + 1, group_key=query["group_key"])
    answer = page(items, limit, lambda item: write_cursor(item.approval.urgency, item.approval.id))
    return {**answer, "items": [_written(item) for item in answer["items"]]}


@blp.route("/groups")
@needs(Permission.APPROVALS_READ)
@blp.query(GroupsQuerySchema)
@blp.answer(200, page_of(GroupSchema))
def list_groups(query: dict[str, Any]) -> dict[str, Any]:
    """Open items by what one answer may settle: texts that differ in digits alone. That group first whose answer is
    worth most; once it is answered, its place is the next one's."""
    after = read_group_cursor(query["after"]) if query["after"] is not None else None
    groups = container().list_groups(actor(), after=after, limit=query["limit"] + 1)
    answer = page(groups, query["limit"], lambda group: write_cursor(group.urgency, group.group_key))
    return {**answer, "items": [_written_group(group) for group in answer["items"]]}


@blp.route("/groups/<string:group_key>", "POST")
@limited(Kind.COSTLY)
@needs(Permission.APPROVALS_DECIDE)
@blp.body(AnswerSchema)
@blp.answer(200, GroupDecidedSchema)
def decide_group(body: dict[str, Any], group_key: str) -> dict[str, int]:
    """Gives one answer to the open items of a group, up to 1,000, all or none."""
    answer = GroupAnswer(verdict=Verdict(body["verdict"]), category_id=body["category_id"])
    done = container().decide_group(posting(), group_key, answer)
    return {"decided": done.decided, "remaining": done.remaining}


@blp.route("/<uuid:approval_id>", "POST")
@needs(Permission.APPROVALS_DECIDE)
@blp.body(AnswerSchema)
@blp.answer(200, WholeRecordSchema)
def decide(body: dict[str, Any], approval_id: UUID) -> Record:
    """Approves the suggested category, or overrides it. Answers with the record as it is now."""
    [record] = container().decide_approvals(posting(), [_answer(approval_id=approval_id, **body)])
    tagged(record.version)
    return record


@blp.route("/<uuid:approval_id>/withdraw", "POST")
@needs(Permission.APPROVALS_DECIDE)
@blp.answer(200, WholeRecordSchema)
def withdraw(approval_id: UUID) -> Record:
    """Takes an answer back: it stops teaching, and the record waits for a person again. Answers with the record as it
    is now."""
    record = container().withdraw_approval(posting(), approval_id)
    tagged(record.version)
    return record


@blp.route("/bulk", "POST")
@limited(Kind.COSTLY)
@needs(Permission.APPROVALS_DECIDE)
@fails_with(404)
@blp.body(AnswersSchema)
@blp.answer(200, RecordPageSchema)
def decide_many(body: dict[str, Any]) -> dict[str, Any]:
    """Carries out all answers or none. Answers with the records as they are now."""
    return everything(container().decide_approvals(posting(), [_answer(**answer) for answer in body["answers"]]))


def _answer(approval_id: UUID, verdict: str, category_id: UUID | None) -> Answer:
    return Answer(approval_id=approval_id, verdict=Verdict(verdict), category_id=category_id)


def _written(item: QueueItem) -> dict[str, Any]:
    receipts = [written_of_record(one) for one in item.receipts]
    return {name: getattr(item.approval, name) for name in _OPEN} | {"record": item.record, "receipts": receipts}


def _decided(query: dict[str, Any], limit: int) -> dict[str, Any]:
    if query["group_key"] is not None:
        raise Invalid("group_key goes with open items", fields={"group_key": ["Only with status=open."]})
    before = read_time_cursor(query["after"]) if query["after"] is not None else None
    withdrawn = query["status"] == "withdrawn"
    items = container().list_decided(actor(), withdrawn=withdrawn, before=before, limit=limit + 1)
    answer = page(
        items, limit, lambda item: write_cursor(item.approval.decided_at or item.approval.created_at, item.approval.id)
    )
    shown = [
        {name: getattr(item.approval, name) for name in (*_OPEN, *_DECIDED)} | {"record": item.record}
        for item in answer["items"]
    ]
    return {**answer, "items": shown}


def _decided_place(item: QueueItem) -> str:
    assert item.approval.decided_at is not None  # noqa: S101 - narrows the type
    return write_cursor(item.approval.decided_at, item.approval.id)


def _written_group(group: Group) -> dict[str, Any]:
    return fields_of(group, "first") | {"suggested_id": group.first.suggested_id, "approval_id": group.first.id}
