"""What became of a connection's health is noted, kept in its history, and told when it changed."""

from __future__ import annotations

from core.domain.connections import Connection
from core.domain.events import EventType, NewEvent
from core.domain.health import HEALTHY_ACTION, Health, HealthEntry
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
