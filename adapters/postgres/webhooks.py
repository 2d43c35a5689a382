"""Deliveries of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.guards import at, conflicts
from adapters.postgres.tables import connections
from adapters.postgres.webhook_tables import webhook_deliveries
from core.domain.plugins import WebhookMessage
from core.domain.webhooks import DeliveryStatus, Outcome, RefusedDeliveries, WebhookDelivery
from core.errors import NotFound

_COLUMNS = [webhook_deliveries.c[name] for name in WebhookDelivery.__slots__]


class PostgresWebhookDeliveries:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, delivery: WebhookDelivery, message: WebhookMessage) -> WebhookDelivery:
        values = {name: getattr(delivery, name) for name in WebhookDelivery.__slots__}
        values |= {"status": delivery.status.value, "headers": dict(message.headers), "body": message.body}
        with conflicts(unknown="this connection does not exist"):
            self._connection.execute(
                insert(webhook_deliveries)
                .values(values)
                .on_conflict_do_nothing(index_elements=["tenant_id", "connection_id", "event_id"])
            )
        row = self._connection.execute(
            select(*_COLUMNS).where(
                webhook_deliveries.c.tenant_id == self._tenant_id,
                webhook_deliveries.c.connection_id == delivery.connection_id,
                webhook_deliveries.c.event_id == delivery.event_id,
            )
        )
        return _to_delivery(row.mappings().one())

    def get(self, id: UUID) -> WebhookDelivery:
        query = select(*_COLUMNS).where(at(webhook_deliveries, self._tenant_id, id))
        row = self._connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("this delivery does not exist")
        return _to_delivery(row)

    def message(self, id: UUID) -> WebhookMessage:
        kept = webhook_deliveries.c
        query = select(kept.event_id, kept.body, kept.headers, kept.received_at)
        row = self._connection.execute(query.where(at(webhook_deliveries, self._tenant_id, id))).first()
        if row is None:
            raise NotFound("this delivery does not exist")
        if row.body is None:
            raise NotFound("what this delivery brought was dropped")
        return WebhookMessage(id=row.event_id, body=bytes(row.body), headers=row.headers, received_at=row.received_at)

    def update(self, delivery: WebhookDelivery) -> None:
        changed = ("inserted", "known", "refused", "refusals", "failure", "finished_at")
        values = {name: getattr(delivery, name) for name in changed} | {"status": delivery.status.value}
        where = at(webhook_deliveries, self._tenant_id, delivery.id)
        if self._connection.execute(webhook_deliveries.update().where(where).values(values)).rowcount == 0:
            raise NotFound("this delivery does not exist")

    def list(self, connection_id: UUID, *, before: UUID | None, limit: int) -> Sequence[WebhookDelivery]:
        kept = webhook_deliveries.c
        query = select(*_COLUMNS).where(kept.tenant_id == self._tenant_id, kept.connection_id == connection_id)
        if before is not None:
            query = query.where(kept.id < before)
        rows = self._connection.execute(query.order_by(kept.id.desc()).limit(limit)).mappings()
        return [_to_delivery(row) for row in rows]

    def refused(self, connection_id: UUID) -> RefusedDeliveries | None:
        query = select(connections.c.refused_deliveries).where(at(connections, self._tenant_id, connection_id))
        noted = self._connection.execute(query).scalar()
        if noted is None:
            return None
        times = {name: datetime.fromisoformat(noted[name]) for name in ("at", "logged_at")}
        return RefusedDeliveries(count=noted["count"], outcome=Outcome(noted["outcome"]), **times)

    def put_refused(self, connection_id: UUID, refused: RefusedDeliveries) -> None:
        noted = {
            "count": refused.count,
            "outcome": refused.outcome.value,
            "at": refused.at.isoformat(),
            "logged_at": refused.logged_at.isoformat(),
        }
        where = at(connections, self._tenant_id, connection_id)
        if self._connection.execute(connections.update().where(where).values(refused_deliveries=noted)).rowcount == 0:
            raise NotFound("this connection does not exist")


def _to_delivery(row: RowMapping) -> WebhookDelivery:
    return WebhookDelivery(**dict(row) | {"status": DeliveryStatus(row["status"]), "refusals": tuple(row["refusals"])})
