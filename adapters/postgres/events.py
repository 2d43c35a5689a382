"""The event log: what a transaction tells is one batch, which the sealer later places in the tenant's sequence.

An event's `seq` is its batch's `last_seq - size + ordinal`; so sealing writes one row a batch, however many its events.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, insert, select, text

from adapters.postgres.work_tables import event_batches, events
from core.domain.events import Event, EventFilter, NewEvent
from core.domain.tenants import Actor
from ports.clock import Ids

_MAX_SEQ = 2**63 - 1


class PostgresEvents:
    def __init__(self, connection: Connection, actor: Actor, ids: Ids) -> None:
        self._connection = connection
        self._actor = actor
        self.batch_id = ids.new()
        self.size = 0
        """Events told so far: set-based statements number theirs from here and call `told`."""

    def append(self, new: Sequence[NewEvent]) -> None:
        if not new:
            return
        self._connection.execute(
            insert(events),
            [
                {
                    "tenant_id": self._actor.tenant_id,
                    "batch_id": self.batch_id,
                    "ordinal": self.size + i,
                    "type": event.type.value,
                    "subject_id": event.subject_id,
                    "payload": event.payload,
                }
                for i, event in enumerate(new, start=1)
            ],
        )
        self.told(len(new))

    def told(self, count: int) -> None:
        self.size += count

    def close(self) -> None:
        """Writes the batch of this transaction, if it told anything; the sealer is woken by the commit."""
        if self.size:
            self._connection.execute(
                insert(event_batches).values(
                    tenant_id=self._actor.tenant_id,
                    id=self.batch_id,
                    size=self.size,
                    actor=self._actor.name,
                    source_agent=self._actor.source_agent,
                    request_id=self._actor.request_id,
                    actor_id=self._actor.id,
                    address=self._actor.address,
                    user_agent=self._actor.user_agent,
                    created_at=func.now(),
                )
            )
            notify(self._connection)

    def list(self, where: EventFilter, *, after: int, limit: int, newest: bool = False) -> Sequence[Event]:
        query = events_query(self._actor.tenant_id, where, after=after, limit=limit, newest=newest)
        return [to_event(row) for row in self._connection.execute(query).mappings()]


def events_query(
    tenant_id: UUID, where: EventFilter, *, after: int, limit: int, newest: bool = False
) -> Select[tuple[object, ...]]:
    """Sealed events above `after`, or with `newest` below it; walks the batches by `last_seq` and each batch by its
    key, so the cursor is free."""
    seq = (event_batches.c.last_seq - event_batches.c.size + events.c.ordinal).label("seq")
    query = (
        select(
            events.c.tenant_id,
            seq,
            events.c.type,
            event_batches.c.created_at.label("occurred_at"),
            event_batches.c.source_agent,
            event_batches.c.actor,
            events.c.subject_id,
            event_batches.c.request_id,
            event_batches.c.actor_id,
            event_batches.c.address,
            event_batches.c.user_agent,
            events.c.payload,
        )
        .join_from(
            event_batches,
            events,
            (events.c.tenant_id == event_batches.c.tenant_id) & (events.c.batch_id == event_batches.c.id),
        )
        .where(event_batches.c.tenant_id == tenant_id, *_beyond(tenant_id, after, seq, newest))
        .limit(limit)
    )
    if newest:
        query = query.order_by(event_batches.c.last_seq.desc(), events.c.ordinal.desc())
    else:
        query = query.order_by(event_batches.c.last_seq, events.c.ordinal)
    if where.types:
        query = query.where(events.c.type.in_(where.types))
    if where.source_agent is not None:
        query = query.where(event_batches.c.source_agent == where.source_agent)
    if where.since is not None:
        query = query.where(event_batches.c.created_at >= where.since)
    if where.until is not None:
        query = query.where(event_batches.c.created_at < where.until)
    if where.subject_id is not None:
        query = query.where(events.c.subject_id == where.subject_id)
    return query


def _beyond(
    tenant_id: UUID, after: int, seq: ColumnElement[int], newest: bool
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Of batches, by which the index is walked, and of their events."""
    last = event_batches.c.last_seq
    if not newest:
        return last > after, seq > after
    if not after:
        return last > 0, seq > 0
    of_one_before = select(func.min(last)).where(event_batches.c.tenant_id == tenant_id, last >= after - 1)
    return last <= func.coalesce(of_one_before.scalar_subquery(), _MAX_SEQ), seq < after


def to_event(row: RowMapping) -> Event:
    return Event(**{name: row[name] for name in Event.__slots__})


def notify(connection: Connection) -> None:
    """Wakes the relay when this transaction commits."""
    connection.execute(text("SELECT pg_notify('sortation', '')"))
