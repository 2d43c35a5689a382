"""Webhooks: what sources send of their own accord."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from flask import Response, g, request

from core.domain.permissions import Permission
from core.domain.webhooks import Outcome
from core.errors import Transient, WebhookRefused
from entrypoints.api import refusals
from entrypoints.api.auth import needs, public
from entrypoints.api.blueprint import Blueprint, fails_with, keyless
from entrypoints.api.limits import Kind, limited
from entrypoints.api.metrics import of_app
from entrypoints.api.responses import fields_of, json_response, page
from entrypoints.api.schemas.base import page_of
from entrypoints.api.schemas.imports import ImportsQuerySchema
from entrypoints.api.schemas.webhooks import DeliverySchema, TakenSchema
from entrypoints.api.state import actor, container, small_body
from entrypoints.observability import trace_parent

blp = Blueprint("webhooks", "What sources send of their own accord.", "")
log = structlog.get_logger("sortation.api")


@blp.route("/webhooks/<uuid:connection_id>", "POST")
@limited(Kind.WEBHOOK)
@public
@keyless
@fails_with(401)
@blp.answer(202, TakenSchema)
@blp.documented(
    requestBody={"required": True, "content": {"application/json": {"schema": {}}, "*/*": {"schema": {}}}},
)
def receive_webhook(connection_id: UUID) -> Response:
    """Takes a delivery that is signed as the connection's source signs. What is not right about one that is refused is
    told to its owner, not here."""
    body = small_body(container().settings().max_webhook_bytes)
    try:
        delivery, outcome = container().receive_webhook(
            connection_id,
            {name.lower(): value for name, value in request.headers.items()},
            body,
            request_id=g.request_id,
            trace_parent=trace_parent(),
        )
    except WebhookRefused as refused:
        outcome = refused.details["outcome"]
        of_app().webhook(outcome)
        if outcome is not Outcome.UNKNOWN:
            _note_refused(connection_id, outcome)
        raise
    of_app().webhook(outcome)
    taken = {"id": delivery.id, "event_id": delivery.event_id, "duplicate": outcome is Outcome.DUPLICATE}
    return json_response(TakenSchema().dump(taken), 202)


def _note_refused(connection_id: UUID, outcome: Outcome) -> None:
    if not (count := refusals.of_app().count(connection_id)):
        return
    try:
        container().note_refused(connection_id, outcome, count)
    except Transient as error:  # who calls must see no difference
        log.warning("refused deliveries not noted", error=str(error))


@blp.route("/connections/<uuid:connection_id>/deliveries")
@needs(Permission.CONNECTIONS_READ)
@blp.query(ImportsQuerySchema)
@blp.answer(200, page_of(DeliverySchema))
def list_deliveries(query: dict[str, Any], connection_id: UUID) -> dict[str, Any]:
    """Webhooks that came in, newest first, and what became of them."""
    found = container().list_deliveries(actor(), connection_id, before=query["before"], limit=query["limit"] + 1)
    return page([fields_of(one) for one in found], query["limit"], lambda one: str(one["id"]))
