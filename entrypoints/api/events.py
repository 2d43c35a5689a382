"""The event log, read in its order; the same at `/api/events`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, current_app

from core.domain.events import Event, EventFilter
from core.domain.permissions import Permission
from core.errors import Invalid
from entrypoints.api.auth import caller as sender
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint
from entrypoints.api.responses import fields_of, json_response
from entrypoints.api.schemas.events import EventPageSchema, EventsQuerySchema
from entrypoints.api.state import actor, container, is_operator

blp = Blueprint("events", "What happened.", "/events")
POLL_SECONDS = 0.5


def poll_slots(threads: int) -> threading.BoundedSemaphore:
    """Half of the server's threads may wait for events: the rest always answers."""
    return threading.BoundedSemaphore(max(1, threads // 2))


@blp.route("")
@needs(Permission.EVENTS_READ, operator=True)
@blp.query(EventsQuerySchema)
@blp.answer(200, EventPageSchema)
def list_events(query: dict[str, Any]) -> Response:
    """Events after a `seq`, or with `newest` the latest ones. With `wait` the answer comes with the next event, or
    empty after so many seconds (at once when too many wait already)."""
    where = EventFilter(
        types=tuple(query["type"]),
        source_agent=query["source_agent"],
        since=query["since"],
        until=query["until"],
        subject_id=query["subject_id"],
    )
    if query["newest"] and query["wait"]:
        raise Invalid("who waits, waits for what comes next", fields={"wait": ["Not with newest."]})
    events = _wait(_reader(query, where), query["wait"])
    items = [fields_of(event) for event in events]
    following: str | None = str(events[-1].seq if events else query["after"])
    if query["newest"] and len(events) < query["limit"]:
        following = None
    return json_response({"items": items, "next": following})


def _reader(query: dict[str, Any], where: EventFilter) -> Callable[[], Sequence[Event]]:
    tenant_id, part = query["tenant_id"], {name: query[name] for name in ("after", "limit", "newest")}
    services = container()
    if is_operator():
        if tenant_id is None:
            raise Invalid("with the operator's key, say whose events", fields={"tenant_id": ["Missing."]})
        services.note_reading(tenant_id, sender())
        return lambda: services.list_tenant_events(tenant_id, where, **part)
    caller = actor()
    if tenant_id not in (None, caller.tenant_id):
        raise Invalid("this key reads the events of its own tenant", fields={"tenant_id": ["Not the key's tenant."]})
    return lambda: services.list_events(caller, where, **part)


def _wait(read: Callable[[], Sequence[Event]], seconds: float) -> Sequence[Event]:
    until = time.monotonic() + seconds
    events = read()
    slots: threading.BoundedSemaphore = current_app.extensions["sortation.polls"]
    if events or not seconds or not slots.acquire(blocking=False):
        return events
    try:
        while not events and (left := until - time.monotonic()) > 0:
            time.sleep(min(POLL_SECONDS, left))
            events = read()
    finally:
        slots.release()
    return events
