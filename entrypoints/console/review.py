"""Review: what waits for a person, one after the other, by keyboard; and what was decided, to take it back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import UUID

from flask import Blueprint, Response
from marshmallow import Schema, fields, validate
from werkzeug.wrappers import Response as AnyResponse

from core.domain.approvals import Answer, Verdict
from core.domain.categories import paths
from core.domain.condition_text import condition_to_text
from core.domain.permissions import Permission
from core.usecases.review import GroupAnswer, NewRule, QueueItem
from entrypoints.api.cursors import read_cursor, read_time_cursor, write_cursor
from entrypoints.api.limits import Kind, count_costly, limited
from entrypoints.api.receipts import written_of_record
from entrypoints.api.responses import json_response, page, polled
from entrypoints.api.rule_previews import written_preview
from entrypoints.api.schemas.approvals import (
    AnswerSchema,
    AnswersSchema,
    DecisionSchema,
    QueueItemSchema,
    RuleDraftQuerySchema,
)
from entrypoints.api.schemas.rules import RulePreviewSchema
from entrypoints.api.state import container
from entrypoints.api.waiting import work
from entrypoints.console.guard import me, page_for
from entrypoints.console.learned import FIRST
from entrypoints.console.sent import asked, sent
from entrypoints.console.shell import done, show
from ports.storage import RecordFilter

blp = Blueprint("review", __name__)
AT_ONCE = 10
"""Items that a page has in hand, so that the next one is there at once."""
PREVIEWED = 20_000
"""Records, the latest, that a rule is tried on while somebody writes it: some tenths of a second."""
_ITEMS = QueueItemSchema(many=True)


class ItemsSchema(Schema):
    after = fields.String(load_default=None)
    limit = fields.Integer(load_default=AT_ONCE, validate=validate.Range(1, 50))


class DecidedSchema(Schema):
    after = fields.String(load_default=None)


class WithdrawnSchema(Schema):
    ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, 1000))


@blp.get("/review")
@page_for(Permission.APPROVALS_READ)
def review() -> Response:
    return show(
        "review/review.html",
        may_decide=Permission.APPROVALS_DECIDE in me().permissions,
        lessons=container().count_lessons(me(), most=FIRST),
        first=FIRST,
    )


@blp.get("/review/items")
@page_for(Permission.APPROVALS_READ)
def items() -> Response:
    """The most urgent first, with what speaks for each category."""
    query = asked(ItemsSchema)
    after = read_cursor(query["after"]) if query["after"] is not None else None
    found = container().list_queue(me(), after=after, limit=query["limit"] + 1, explain=True)
    answer = page(found, query["limit"], lambda item: write_cursor(item.approval.urgency, item.approval.id))
    return json_response({**answer, "items": _written(answer["items"])})


@blp.get("/review/items/<uuid:approval_id>")
@page_for(Permission.APPROVALS_READ)
def item(approval_id: UUID) -> Response:
    [written] = _written(container().explain_approvals(me(), [approval_id]))
    return json_response(written)


@blp.get("/review/categories")
@page_for(Permission.CATEGORIES_READ)
def categories() -> Response:
    """All of them by their path, as people choose among them."""
    polled()
    found = paths(container().list_categories(me()))
    return json_response({"items": [{"id": id, "path": path} for id, path in sorted(found.items(), key=_by_path)]})


@blp.post("/review/decide")
@page_for(Permission.APPROVALS_DECIDE)
def decide() -> Response:
    """All answers or none."""
    answers = [
        Answer(approval_id=one["approval_id"], verdict=Verdict(one["verdict"]), category_id=one["category_id"])
        for one in sent(AnswersSchema)["answers"]
    ]
    with _turn_for(len(answers)):
        container().decide_approvals(me(), answers)
    return json_response({"ids": [answer.approval_id for answer in answers]})


@blp.post("/review/groups/<string:group_key>")
@limited(Kind.COSTLY)
@page_for(Permission.APPROVALS_DECIDE)
def decide_group(group_key: str) -> Response:
    body = sent(AnswerSchema)
    answer = GroupAnswer(verdict=Verdict(body["verdict"]), category_id=body["category_id"])
    decided = container().decide_group(me(), group_key, answer)
    return json_response({"ids": decided.approval_ids, "remaining": decided.remaining})


@blp.post("/review/decided/<uuid:approval_id>/withdraw")
@page_for(Permission.APPROVALS_DECIDE)
def take_back(approval_id: UUID) -> AnyResponse:
    container().withdraw_approval(me(), approval_id)
    return done("/review/decided", "It was taken back, and waits again.")


@blp.post("/review/withdraw")
@page_for(Permission.APPROVALS_DECIDE)
def withdraw() -> Response:
    """Answers with the items by which the records wait again."""
    ids = sent(WithdrawnSchema)["ids"]
    with _turn_for(len(ids)):
        withdrawn = container().withdraw_approvals(me(), ids)
    return json_response({"ids": withdrawn.approval_ids})


@blp.post("/review/items/<uuid:approval_id>/skip")
@page_for(Permission.APPROVALS_DECIDE)
def skip(approval_id: UUID) -> Response:
    container().skip_approval(me(), approval_id)
    return json_response({})


@blp.get("/review/items/<uuid:approval_id>/rule")
@page_for(Permission.APPROVALS_READ)
def propose_rule(approval_id: UUID) -> Response:
    """A rule that would give the category to this record and to those like it."""
    found = container().propose_decision_rule(me(), approval_id, asked(RuleDraftQuerySchema)["category_id"])
    draft = found.draft
    return json_response({"name": draft.name, "text": condition_to_text(draft.when), "alike": found.alike})


@blp.post("/review/items/<uuid:approval_id>/rule")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def decide_with_rule(approval_id: UUID) -> Response:
    """The answer and the rule, or neither."""
    me().require(Permission.APPROVALS_DECIDE)
    body = sent(DecisionSchema)
    answer = Answer(approval_id=approval_id, verdict=Verdict(body["verdict"]), category_id=body["category_id"])
    _, made = container().decide_with_rule(me(), answer, NewRule(written=body["rule"] or {}))
    return json_response({"rule_id": made.id})


@blp.post("/review/preview")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_READ)
def preview() -> Response:
    """What a rule would change among the latest records."""
    me().require(Permission.RECORDS_READ)
    body = sent(RulePreviewSchema)
    found = container().preview_rules(me(), body["rules"], where=RecordFilter(), last=PREVIEWED)
    return json_response(written_preview(found) | {"last": PREVIEWED})


@blp.get("/review/decided")
@page_for(Permission.APPROVALS_READ)
def decided() -> Response:
    """The latest decided first."""
    after = asked(DecidedSchema)["after"]
    before = read_time_cursor(after) if after is not None else None
    found = container().list_decided(me(), withdrawn=False, before=before, limit=AT_ONCE * 5 + 1)
    answer = page(found, AT_ONCE * 5, _decided_place)
    names = paths(container().list_categories(me()))
    return show("review/decided.html", items=answer["items"], following=answer["next"], paths=names)


def _turn_for(answers: int) -> AbstractContextManager[None]:
    """Several at once are costly work, as by the API; one, which is what most send, is not. Raises `TooManyRequests`,
    `Busy`."""
    if answers == 1:
        return nullcontext()
    count_costly()
    return work()


def _decided_place(item: QueueItem) -> str:
    return write_cursor(item.approval.decided_at or item.approval.created_at, item.approval.id)


def _by_path(pair: tuple[UUID, str]) -> str:
    return pair[1].casefold()


def _written(items: Sequence[QueueItem]) -> list[dict[str, Any]]:
    """As the API writes them."""
    told = [
        {name: getattr(item.approval, name) for name in ("id", "suggested_id", "urgency", "group_key", "created_at")}
        | {"record": item.record, "candidates": item.choices, "alike": item.alike}
        | {"receipts": [written_of_record(one) for one in item.receipts]}
        for item in items
    ]
    written: list[dict[str, Any]] = _ITEMS.dump(told)
    return written
