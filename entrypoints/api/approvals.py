"""The review queue, and decisions in it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.approvals import Answer, Group, Verdict
from core.domain.condition_text import condition_to_text
from core.domain.conditions import condition_to_json
from core.domain.permissions import Permission
from core.domain.records import Record
from core.domain.rules import Rule
from core.errors import Invalid
from core.usecases.review import GroupAnswer, NewRule, QueueItem
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, fails_with
from entrypoints.api.cursors import read_cursor, read_group_cursor, read_time_cursor, write_cursor
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.receipts import written_of_record
from entrypoints.api.responses import fields_of, page, tagged, versioned
from entrypoints.api.rules import written_rule
from entrypoints.api.schemas.approvals import (
    MOST_EXPLAINED,
    NO_SUGGESTION,
    AnswersSchema,
    BulkDecidedSchema,
    DecidedRecordSchema,
    DecisionSchema,
    GroupDecidedSchema,
    GroupSchema,
    GroupsQuerySchema,
    QueueFilterSchema,
    QueueItemSchema,
    QueueQuerySchema,
    RuleDraftQuerySchema,
    SkippedSchema,
    WithdrawnSchema,
)
from entrypoints.api.schemas.base import everything, page_of
from entrypoints.api.schemas.records import WholeRecordSchema
from entrypoints.api.schemas.rules import ConfirmQuerySchema, RuleDraftSchema
from entrypoints.api.state import actor, container
from ports.review_storage import QueueFilter

_OPEN = ("id", "suggested_id", "urgency", "group_key", "created_at")
_DECIDED = (
    "confidence", "verdict", "category_id", "decided_by", "decided_at", "withdrawn_by", "withdrawn_at",
)  # fmt: skip
_FILTERS = tuple(QueueFilterSchema().fields)

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
    explain = query["evidence"]
    if explain and limit > MOST_EXPLAINED:
        told = f"At most {MOST_EXPLAINED} with evidence."
        raise Invalid(f"evidence is given of up to {MOST_EXPLAINED} items at once", fields={"limit": [told]})
    after = read_cursor(query["after"]) if query["after"] is not None else None
    items = container().list_queue(
        actor(), after=after, limit=limit + 1, where=_filter(query), skipped=query["skipped"], explain=explain
    )
    answer = page(items, limit, lambda item: write_cursor(item.approval.urgency, item.approval.id))
    return {**answer, "items": [_written(item) for item in answer["items"]]}


@blp.route("/<uuid:approval_id>")
@needs(Permission.APPROVALS_READ)
@blp.answer(200, QueueItemSchema)
def get_approval(approval_id: UUID) -> dict[str, Any]:
    """An item, open or decided, with the categories that it could get and what speaks for each, the best first."""
    [item] = container().explain_approvals(actor(), [approval_id])
    return _written(item) if item.approval.verdict is None else _written_decided(item)


@blp.route("/groups")
@needs(Permission.APPROVALS_READ)
@blp.query(GroupsQuerySchema)
@blp.answer(200, page_of(GroupSchema))
def list_groups(query: dict[str, Any]) -> dict[str, Any]:
    """Open items by what one answer may settle: texts that differ in digits alone. That group first whose answer is
    worth most; once it is answered, its place is the next one's."""
    after = read_group_cursor(query["after"]) if query["after"] is not None else None
    groups = container().list_groups(actor(), after=after, limit=query["limit"] + 1, where=_filter(query))
    answer = page(groups, query["limit"], lambda group: write_cursor(group.urgency, group.group_key))
    return {**answer, "items": [_written_group(group) for group in answer["items"]]}


@blp.route("/groups/<string:group_key>", "POST")
@limited(Kind.COSTLY)
@needs(Permission.APPROVALS_DECIDE)
@fails_with(404)
@blp.query(ConfirmQuerySchema)
@blp.body(DecisionSchema)
@blp.answer(200, GroupDecidedSchema)
def decide_group(query: dict[str, Any], body: dict[str, Any], group_key: str) -> dict[str, Any]:
    """Gives one answer to the open items of a group, up to 1,000, all or none; what you skipped is left alone. A `rule`
    is made with it, as by POST /rules."""
    rule = _new_rule(body, query["confirm"])
    answer = GroupAnswer(verdict=Verdict(body["verdict"]), category_id=body["category_id"])
    done = container().decide_group(posting(), group_key, answer, rule=rule)
    return fields_of(done, "created_rule") | _created(done.created_rule)


@blp.route("/<uuid:approval_id>", "POST")
@needs(Permission.APPROVALS_DECIDE)
@blp.query(ConfirmQuerySchema)
@blp.body(DecisionSchema)
@blp.answer(200, DecidedRecordSchema)
def decide(query: dict[str, Any], body: dict[str, Any], approval_id: UUID) -> Record | dict[str, Any]:
    """Approves the suggested category, or overrides it. Answers with the record as it is now. A `rule` is made with it,
    as by POST /rules; what waits already is decided by it in a run."""
    rule = _new_rule(body, query["confirm"])
    answer = _answer(approval_id=approval_id, verdict=body["verdict"], category_id=body["category_id"])
    if rule is None:
        [record] = container().decide_approvals(posting(), [answer])
        tagged(record.version)
        return record
    record, made = container().decide_with_rule(posting(), answer, rule)
    versioned(record.version)
    return fields_of(record) | _created(made)


@blp.route("/<uuid:approval_id>/rule")
@needs(Permission.APPROVALS_READ)
@blp.query(RuleDraftQuerySchema)
@blp.answer(200, RuleDraftSchema)
def propose_rule(query: dict[str, Any], approval_id: UUID) -> dict[str, Any]:
    """A rule that gives a category to this record and to those that are like it: by the counterparty, or by the words
    of the text, and the sign of the amount. `POST /rules/preview` tells what it would change."""
    found = container().propose_decision_rule(actor(), approval_id, query["category_id"])
    draft = found.draft
    return {
        "name": draft.name,
        "when": condition_to_json(draft.when),
        "text": condition_to_text(draft.when),
        "then": {"category": str(draft.category_id)},
        "alike": found.alike,
    }


@blp.route("/<uuid:approval_id>/withdraw", "POST")
@needs(Permission.APPROVALS_DECIDE)
@blp.answer(200, WholeRecordSchema)
def withdraw(approval_id: UUID) -> Record:
    """Takes an answer back: it stops teaching, and the record waits for a person again. Answers with the record as it
    is now."""
    record = container().withdraw_approval(posting(), approval_id)
    tagged(record.version)
    return record


@blp.route("/withdraw", "POST")
@limited(Kind.COSTLY)
@needs(Permission.APPROVALS_DECIDE)
@fails_with(404)
@blp.body(WithdrawnSchema)
@blp.answer(200, BulkDecidedSchema)
def withdraw_many(body: dict[str, Any]) -> dict[str, Any]:
    """Takes back all these answers or none. Answers with the records as they are now, and with the items by which they
    wait again."""
    done = container().withdraw_approvals(posting(), body["ids"])
    return everything(done.records) | {"approval_ids": done.approval_ids}


@blp.route("/<uuid:approval_id>/skip", "POST")
@needs(Permission.APPROVALS_DECIDE)
@blp.answer(200, SkippedSchema)
def skip(approval_id: UUID) -> dict[str, Any]:
    """Keeps an open item out of your own queue for a day; others see it as before."""
    return {"approval_id": approval_id, "until": container().skip_approval(posting(), approval_id)}


@blp.route("/<uuid:approval_id>/skip", "DELETE")
@needs(Permission.APPROVALS_DECIDE)
@blp.answer(204)
def unskip(approval_id: UUID) -> None:
    """Brings an item that you skipped back into your queue."""
    container().unskip_approval(actor(), approval_id)


@blp.route("/bulk", "POST")
@limited(Kind.COSTLY)
@needs(Permission.APPROVALS_DECIDE)
@fails_with(404)
@blp.body(AnswersSchema)
@blp.answer(200, BulkDecidedSchema)
def decide_many(body: dict[str, Any]) -> dict[str, Any]:
    """Carries out all answers or none. Answers with the records as they are now."""
    answers = [_answer(**answer) for answer in body["answers"]]
    records = container().decide_approvals(posting(), answers)
    return everything(records) | {"approval_ids": [answer.approval_id for answer in answers]}


def _answer(approval_id: UUID, verdict: str, category_id: UUID | None) -> Answer:
    return Answer(approval_id=approval_id, verdict=Verdict(verdict), category_id=category_id)


def _new_rule(body: dict[str, Any], confirm: bool) -> NewRule | None:
    """The rule that is to be made with a decision. Raises `Forbidden` before anything is decided."""
    if body["rule"] is None:
        return None
    actor().require(Permission.RULES_WRITE)
    return NewRule(written=body["rule"], confirm=confirm)


def _created(rule: Rule | None) -> dict[str, Any]:
    return {} if rule is None else {"created_rule": written_rule(rule)}


def _filter(query: dict[str, Any]) -> QueueFilter:
    given = {name: query[name] for name in (*_FILTERS, "group_key") if name in query}
    suggested = given.pop("suggested_id", None)
    if suggested == NO_SUGGESTION:
        return QueueFilter(**given, unsuggested=True)
    return QueueFilter(**given, suggested_id=None if suggested is None else UUID(suggested))


def _written(item: QueueItem) -> dict[str, Any]:
    return _shown(item, _OPEN) | {"receipts": [written_of_record(one) for one in item.receipts]}


def _written_decided(item: QueueItem) -> dict[str, Any]:
    return _shown(item, (*_OPEN, *_DECIDED)) | {"agent": item.approval.decided_agent}


def _shown(item: QueueItem, names: tuple[str, ...]) -> dict[str, Any]:
    candidates = {} if item.choices is None else {"candidates": item.choices, "alike": item.alike}
    return {name: getattr(item.approval, name) for name in names} | {"record": item.record} | candidates


def _decided(query: dict[str, Any], limit: int) -> dict[str, Any]:
    for name in ("group_key", "evidence", "skipped", *_FILTERS):
        if query.get(name):
            raise Invalid(f"{name} goes with open items", fields={name: ["Only with status=open."]})
    before = read_time_cursor(query["after"]) if query["after"] is not None else None
    withdrawn = query["status"] == "withdrawn"
    items = container().list_decided(actor(), withdrawn=withdrawn, before=before, limit=limit + 1)
    answer = page(items, limit, _decided_place)
    return {**answer, "items": [_written_decided(item) for item in answer["items"]]}


def _decided_place(item: QueueItem) -> str:
    assert item.approval.decided_at is not None  # noqa: S101 - narrows the type
    return write_cursor(item.approval.decided_at, item.approval.id)


def _written_group(group: Group) -> dict[str, Any]:
    return fields_of(group, "first") | {"suggested_id": group.first.suggested_id, "approval_id": group.first.id}
