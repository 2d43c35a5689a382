"""What became of a connection's health is noted, kept in its history, and told when it changed."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from core.domain.connections import Connection
from core.domain.events import EventType, NewEvent
from core.domain.health import DELIVERY, HEALTHY_ACTION, Health, HealthEntry, diagnose, first_line
from ports.clock import Clock, Ids
from ports.storage import Transaction

OK = "ok"
_EVENTS = {
    Health.HEALTHY: EventType.CONNECTION_HEALTHY,
    Health.DEGRADED: EventType.CONNECTION_DEGRADED,
    Health.REAUTH: EventType.CONNECTION_REAUTH,
    Health.PAUSED: EventType.CONNECTION_PAUSED,
    Health.PLUGIN_MISSING: EventType.CONNECTION_PLUGIN_MISSING,
}


def note_health(
    tx: Transaction,
    connection: Connection,
    was: Health,
    *,
    code: str = OK,
    message: str = "",
    action: str = HEALTHY_ACTION,
    clock: Clock,
    ids: Ids,
) -> None:
    """Notes the connection's health, which `was` another or the same. The history gets an entry when it, or the reason,
    is another than at last."""
    tx.connections.note(connection)
    latest = next(iter(tx.syncs.history(connection.id, 1)), None)
    told = (connection.health, code, message)
    if latest is None or (latest.health, latest.code, latest.message) != told:
        entry = HealthEntry(
            id=ids.new(), at=clock.now(), health=connection.health, code=code, message=message, action=action
        )
        tx.syncs.tell(connection.id, entry)
    if connection.health is not was:
        payload = {"code": code, "was": was.value}
        tx.events.append([NewEvent(type=_EVENTS[connection.health], subject_id=connection.id, payload=payload)])


def note_failed_delivery(
    tx: Transaction, connection: Connection, code: str, message: str, *, clock: Clock, ids: Ids
) -> None:
    """What a delivery failed with, where the connection has no other trouble: syncs go on as they would. The
    transaction holds the connection."""
    if not _of_deliveries(tx, connection):
        return
    means = diagnose(code, failures=0, jitter=0.0)
    health = Health.PLUGIN_MISSING if means.health is Health.PLUGIN_MISSING else Health.DEGRADED
    told = {"code": f"{DELIVERY}{code}", "message": first_line(message), "action": means.action}
    note_health(tx, replace(connection, health=health), connection.health, **told, clock=clock, ids=ids)


def note_good_delivery(tx: Transaction, connection_id: UUID, *, clock: Clock, ids: Ids) -> None:
    """Makes a connection well again that a delivery made ill."""
    connection = tx.connections.get(connection_id, lock=True)
    if connection.health is not Health.HEALTHY and _of_deliveries(tx, connection):
        note_health(tx, replace(connection, health=Health.HEALTHY), connection.health, clock=clock, ids=ids)


def _of_deliveries(tx: Transaction, connection: Connection) -> bool:
    """Whether it is well, but for what deliveries did to it."""
    if connection.health is Health.HEALTHY:
        return True
    latest = next(iter(tx.syncs.history(connection.id, 1)), None)
    return latest is not None and latest.code.startswith(DELIVERY)
