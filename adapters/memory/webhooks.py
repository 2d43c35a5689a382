"""Deliveries of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from adapters.memory.state import Workspace, as_json, one
from core.domain.plugins import WebhookMessage
from core.domain.webhooks import RefusedDeliveries, WebhookDelivery
from core.errors import Invalid, NotFound


class MemoryWebhookDeliveries:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state
        self._deliveries = workspace.state.deliveries

    def add(self, delivery: WebhookDelivery, message: WebhookMessage) -> WebhookDelivery:
        if delivery.connection_id not in self._state.connections:
            raise Invalid("this connection does not exist")
        for kept in self._deliveries.values():
            if (kept.connection_id, kept.event_id) == (delivery.connection_id, delivery.event_id):
                return kept
        kept = replace(delivery, refusals=tuple(as_json(delivery.refusals)))
        self._deliveries[delivery.id] = kept
        self._state.messages[delivery.id] = replace(message, headers=as_json(message.headers))
        return kept

    def get(self, id: UUID) -> WebhookDelivery:
        return one(self._deliveries, id, "delivery")

    def message(self, id: UUID) -> WebhookMessage:
        self.get(id)
        if id not in self._state.messages:
            raise NotFound("what this delivery brought was dropped")
        return self._state.messages[id]

    def update(self, delivery: WebhookDelivery) -> None:
        self._deliveries[delivery.id] = replace(
            self.get(delivery.id),
            status=delivery.status,
            inserted=delivery.inserted,
            known=delivery.known,
            refused=delivery.refused,
            refusals=tuple(as_json(delivery.refusals)),
            failure=delivery.failure,
            finished_at=delivery.finished_at,
        )

    def list(self, connection_id: UUID, *, before: UUID | None, limit: int) -> Sequence[WebhookDelivery]:
        newest_first = sorted(self._deliveries, reverse=True)
        mine = (self._deliveries[id] for id in newest_first if before is None or id < before)
        return [delivery for delivery in mine if delivery.connection_id == connection_id][:limit]

    def refused(self, connection_id: UUID) -> RefusedDeliveries | None:
        return self._state.refused.get(connection_id)

    def put_refused(self, connection_id: UUID, refused: RefusedDeliveries) -> None:
        one(self._state.connections, connection_id, "connection")
        self._state.refused[connection_id] = refused
