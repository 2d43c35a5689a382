"""The event log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Blueprint, Response, request

from core.domain.events import Event, EventFilter, EventType
from core.domain.permissions import Permission
from core.errors import Invalid
from entrypoints.api.responses import json_response
from entrypoints.api.state import container
from entrypoints.console.asked import asked_day, asked_id, asked_number, following
from entrypoints.console.events.sentences import sentence
from entrypoints.console.guard import me, page_for
from entrypoints.console.places import page_of, still_there
from entrypoints.console.shell import show

blp = Blueprint("event_pages", __name__)
SHOWN = 50
_FILTERS = ("type", "agent", "since", "until", "subject")
_PAGES = {
    "CONNECTION": "/connections/{id}",
    "JOB": "/jobs/{id}",
    "RULE_RUN": "/rules/runs/{id}",
    "RULE_PROPOSED": "/rules/proposals/{id}",
    "PROPOSAL": "/rules/proposals/{id}",
    "RULE": "/rules/{id}",
    "CATEGORY": "/categories/{id}",
    "EVALUATION": "/settings/promise/trials/{id}",
    "IMPORT": "/imports/{id}",
    "RECEIPT": "/receipts/{id}",
    "REPORT_DEFINED": "/reports/definitions/{id}",
    "REPORT_REDEFINED": "/reports/definitions/{id}",
    "REPORT_GENERATED": "/reports/{id}",
    "REPORT_FAILED": "/reports/{id}",
    **dict.fromkeys(("INGESTED", "UPDATED", "PROCESSED", "TX_APPROVED", "APPROVAL_WITHDRAWN"), "/records/{id}"),
}
"""By how a type begins, the most telling first: the page of what it happened to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event, ready to be read."""

    event: Event
    said: str
    href: str | None
    payload: str


@blp.get("/events")
@page_for(Permission.EVENTS_READ)
def events() -> Response:
    errors: Mapping[str, Sequence[str]] = {}
    found: Sequence[Event] = ()
    before = 0
    try:
        where, before = _where(), asked_number("after") or 0
        found = container().list_events(me(), where, after=before, limit=SHOWN + 1, newest=True)
    except Invalid as error:
        errors = error.details.get("fields") or {"type": [str(error)]}
    shown, given = found[:SHOWN], _given()
    more = following("/events", shown[-1].seq, **given) if len(found) > SHOWN else None
    return show(
        "events/log.html",
        422 if errors else 200,
        told=_told(shown),
        types=sorted(type.value for type in EventType),
        given=given,
        filtered=any(given.values()),
        more=more,
        latest=None if before or errors else (shown[0].seq if shown else 0),
        query=urlencode({name: value for name, value in given.items() if value}),
        errors=errors,
    )


@blp.get("/events/new")
@page_for(Permission.EVENTS_READ)
def new_events() -> Response:
    """What came after a `seq`, in order, for the page that is open."""
    after = asked_number("after") or 0
    found = container().list_events(me(), _where(), after=after, limit=SHOWN)
    return json_response({"items": [_row(one) for one in _told(found)], "next": found[-1].seq if found else after})


def told(event: Event) -> Told:
    page = next((page for begins, page in _PAGES.items() if event.type.startswith(begins)), None)
    href = page_of(page, event.subject_id) if page and not event.type.endswith("_DELETED") else None
    if event.type.startswith("WEBHOOK"):
        href = page_of("/connections/{id}", event.payload.get("connection_id"))
    written = orjson.dumps(dict(event.payload), default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
    return Told(event=event, said=sentence(event.type, event.payload), href=href, payload=written.decode())


def _told(events: Sequence[Event]) -> list[Told]:
    """In that order; what is gone has no page to open."""
    all_told = [told(event) for event in events]
    there = still_there(one.href for one in all_told)
    return [one if one.href in there else replace(one, href=None) for one in all_told]


def _row(one: Told) -> dict[str, Any]:
    event = one.event
    return {
        "seq": event.seq,
        "at": event.occurred_at,
        "said": one.said,
        "type": event.type,
        "actor": event.actor,
        "agent": event.source_agent,
        "address": event.address,
        "user_agent": event.user_agent,
        "request": event.request_id,
        "subject": event.subject_id,
        "href": one.href,
        "payload": one.payload,
    }


def _given() -> dict[str, str]:
    return {name: request.args.get(name, "").strip() for name in _FILTERS}


def _where() -> EventFilter:
    """Raises `Invalid`."""
    type = request.args.get("type", "").strip()
    if type and type not in EventType.__members__:
        raise Invalid("type: there is no such type", fields={"type": ["There is no such type."]})
    agent = request.args.get("agent", "").strip()
    if "\x00" in agent:
        raise Invalid("agent: this is no name", fields={"agent": ["This is no name."]})
    zone = container().get_tenant(me()).zone
    return EventFilter(
        types=(type,) if type else (),
        source_agent=agent or None,
        since=asked_day("since", zone),
        until=asked_day("until", zone, days=1),
        subject_id=asked_id("subject"),
    )
