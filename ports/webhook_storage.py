"""Deliveries of webhooks, each kept once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from core.domain.plugins import WebhookMessage
from core.domain.webhooks import RefusedDeliveries, WebhookDelivery


class WebhookDeliveries(Protocol):
    def add(self, delivery: WebhookDelivery, message: WebhookMessage) -> WebhookDelivery:
        """Keeps the delivery and its message, unless the connection's event of that id is kept already: gives back
        what is kept then. A concurrent one with the same id is waited for. Raises `Invalid` for an unknown
        connection."""
        ...

    def get(self, id: UUID) -> WebhookDelivery: ...

    def message(self, id: UUID) -> WebhookMessage:
        """Raises `NotFound` when it was dropped."""
        ...

    def update(self, delivery: WebhookDelivery) -> None:
        """Writes status, counts, refusals, failure and the end. Raises `NotFound`."""
        ...

    def list(self, connection_id: UUID, *, before: UUID | None, limit: int) -> Sequence[WebhookDelivery]:
        """Newest first; `before` is the last id of the page before."""
        ...

    def refused(self, connection_id: UUID) -> RefusedDeliveries | None: ...

    def put_refused(self, connection_id: UUID, refused: RefusedDeliveries) -> None:
        """In place of what was noted before. Raises `NotFound` for an unknown connection."""
        ...
