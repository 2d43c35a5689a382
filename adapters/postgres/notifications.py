"""Endpoints, and what they are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, text

from adapters.postgres.documents import read, written
from adapters.postgres.events import events_query, to_event
from adapters.postgres.guards import at, conflicts, delete_versioned, update_versioned
from adapters.postgres.notification_tables import notification_endpoints as endpoints
from adapters.postgres.notification_tables import notifications
from adapters.postgres.work_tables import IS_TOLD, event_batches
from core.domain.events import EventFilter
from core.domain.notifications import (
    TEST,
    Attempt,
    Digest,
    DisabledReason,
    Endpoint,
    EndpointKind,
    Notification,
    NotificationStatus,
    Topic,
)
from core.errors import NotFound
from ports.notification_storage import News

_CHANGED = ("name", "url", "digest_hour", "sealed")
_NOTED = ("told_seq", "succeeded_at", "failing_since", "disabled_at", "disabled_reason")
_BECAME = ("status", "digest_id", "job_id", "tries", "next_at", "finished_at")
_COLUMNS = [notifications.c[name] for name in Notification.__slots__]
_NO_ENDPOINT = "this endpoint does not exist"


class PostgresEndpoints:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, endpoint: Endpoint) -> None:
        values = {name: getattr(endpoint, name) for name in Endpoint.__slots__}
        with conflicts(unknown="user_id is no member's"):
            self._connection.execute(endpoints.insert().values(values | {"topics": list(endpoint.topics)}))

    def list(self) -> Sequence[Endpoint]:
        query = select(endpoints).where(endpoints.c.tenant_id == self._tenant_id).order_by(endpoints.c.id)
        return [_to_endpoint(row) for row in self._connection.execute(query).mappings()]

    def listening(self) -> Sequence[Endpoint]:
        mine = (endpoints.c.tenant_id == self._tenant_id) & endpoints.c.disabled_at.is_(None)
        query = select(endpoints).where(mine).order_by(endpoints.c.id).with_for_update(key_share=True)
        return [_to_endpoint(row) for row in self._connection.execute(query).mappings()]

    def get(self, id: UUID, *, lock: bool = False) -> Endpoint:
        query = select(endpoints).where(at(endpoints, self._tenant_id, id))
        row = self._connection.execute(query.with_for_update(key_share=True) if lock else query).mappings().first()
        if row is None:
            raise NotFound(_NO_ENDPOINT)
        return _to_endpoint(row)

    def update(self, endpoint: Endpoint) -> None:
        values: dict[str, Any] = {name: getattr(endpoint, name) for name in _CHANGED}
        values |= {"topics": list(endpoint.topics), "digest": endpoint.digest.value}
        update_versioned(
            self._connection, endpoints, at(endpoints, self._tenant_id, endpoint.id), endpoint.version, values
        )

    def note(self, endpoint: Endpoint) -> None:
        self._connection.execute(
            endpoints.update()
            .where(at(endpoints, self._tenant_id, endpoint.id))
            .values({name: getattr(endpoint, name) for name in _NOTED})
        )

    def told(self, ids: Sequence[UUID], upto: int) -> None:
        mine = (endpoints.c.tenant_id == self._tenant_id) & endpoints.c.id.in_(ids)
        self._connection.execute(endpoints.update().where(mine).values(told_seq=upto))

    def delete(self, id: UUID, version: int | None) -> None:
        delete_versioned(self._connection, endpoints, at(endpoints, self._tenant_id, id), version)


class PostgresNotifications:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def last_seq(self) -> int:
        mine = event_batches.c.tenant_id == self._tenant_id
        last: int = self._connection.execute(
            select(func.coalesce(func.max(event_batches.c.last_seq), 0)).where(mine)
        ).scalar_one()
        return last

    def news(self, after: int, limit: int) -> News:
        upto = self.last_seq()
        # The types stand in the statement as the index has them, whatever the plan.
        query = events_query(self._tenant_id, EventFilter(), after=after, limit=limit).where(text(f"events.{IS_TOLD}"))
        found = [to_event(row) for row in self._connection.execute(query).mappings()]
        if len(found) == limit:
            upto = found[-1].seq
        return News(events=[event for event in found if event.seq <= upto], upto=upto)

    def add(self, new: Sequence[Notification]) -> None:
        if not new:
            return
        with conflicts(taken="this endpoint was told of this already", unknown=_NO_ENDPOINT):
            self._connection.execute(insert(notifications), [_values(one) for one in new])

    def get(self, id: UUID, *, lock: bool = False) -> Notification:
        query = select(*_COLUMNS).where(at(notifications, self._tenant_id, id))
        row = self._connection.execute(query.with_for_update(key_share=True) if lock else query).mappings().first()
        if row is None:
            raise NotFound("this delivery does not exist")
        return _to_notification(row)

    def list(self, endpoint_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Notification]:
        query = select(*_COLUMNS).where(self._of(endpoint_id))
        if before is not None:
            query = query.where(notifications.c.id < before)
        rows = self._connection.execute(query.order_by(notifications.c.id.desc()).limit(limit)).mappings()
        return [_to_notification(row) for row in rows]

    def collecting(self, endpoint_id: UUID) -> Notification | None:
        collects = notifications.c.status == NotificationStatus.COLLECTING.value
        query = select(*_COLUMNS).where(self._of(endpoint_id), collects).with_for_update(key_share=True)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else _to_notification(row)

    def collect(self, digest: Notification, limit: int) -> tuple[int, Sequence[Notification]]:
        waits = notifications.c.status == NotificationStatus.WAITING.value
        taken = self._connection.execute(
            notifications.update()
            .where(self._of(digest.endpoint_id), waits)
            .values(digest_id=digest.id, status=NotificationStatus.PENDING.value)
        ).rowcount
        mine = (notifications.c.tenant_id == self._tenant_id) & (notifications.c.digest_id == digest.id)
        query = select(*_COLUMNS).where(mine).order_by(notifications.c.id).limit(limit)
        return taken, [_to_notification(row) for row in self._connection.execute(query).mappings()]

    def update(self, notification: Notification) -> None:
        values = _values(notification)
        became = {name: values[name] for name in (*_BECAME, "data", "attempts", "occurred_at")}
        where = at(notifications, self._tenant_id, notification.id)
        if self._connection.execute(notifications.update().where(where).values(became)).rowcount == 0:
            raise NotFound("this delivery does not exist")
        taken_along = (notifications.c.tenant_id == self._tenant_id) & (notifications.c.digest_id == notification.id)
        same = {name: values[name] for name in ("status", "finished_at")}
        self._connection.execute(notifications.update().where(taken_along).values(same))

    def failed_since(self, endpoint_id: UUID, since: datetime, limit: int) -> Sequence[Notification]:
        c = notifications.c
        query = (
            select(*_COLUMNS)
            .where(self._of(endpoint_id), c.status == NotificationStatus.FAILED.value, c.created_at >= since)
            .where(c.type != TEST, c.digest_id.is_(None))
            .order_by(c.created_at, c.id)
            .limit(limit)
            .with_for_update(key_share=True)
        )
        return [_to_notification(row) for row in self._connection.execute(query).mappings()]

    def _of(self, endpoint_id: UUID) -> ColumnElement[bool]:
        return (notifications.c.tenant_id == self._tenant_id) & (notifications.c.endpoint_id == endpoint_id)


def _values(notification: Notification) -> dict[str, Any]:
    values = {name: getattr(notification, name) for name in Notification.__slots__}
    attempts = [written(attempt) for attempt in notification.attempts]
    return values | {"data": dict(notification.data), "status": notification.status.value, "attempts": attempts}


def _to_endpoint(row: RowMapping) -> Endpoint:
    values: dict[str, Any] = {name: row[name] for name in Endpoint.__slots__}
    reason = values["disabled_reason"]
    typed = {
        "kind": EndpointKind(values["kind"]),
        "topics": tuple(map(Topic, values["topics"])),
        "digest": Digest(values["digest"]),
        "sealed": None if values["sealed"] is None else bytes(values["sealed"]),
        "disabled_reason": None if reason is None else DisabledReason(reason),
    }
    return Endpoint(**values | typed)


def _to_notification(row: RowMapping) -> Notification:
    attempts = tuple(read(Attempt, kept) for kept in row["attempts"])
    return Notification(**dict(row) | {"status": NotificationStatus(row["status"]), "attempts": attempts})
