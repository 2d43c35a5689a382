"""What happened to a record, as the log has it, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.domain.events import Event, EventType
from core.domain.records import RecordStatus
from entrypoints.console.records.story import GONE

_CHANGES = {
    "edited": "Tags or attributes were changed",
    "posted": "It was posted: until then it was pending",
    "undone": "A run of rules was undone",
}
_BECAME = {
    RecordStatus.PROCESSED: "left unsorted",
    RecordStatus.NEEDS_REVIEW: "sent to a person",
    RecordStatus.FAILED: "found not to be sortable",
}
_PLAIN = {
    EventType.INGESTED: "It came in",
    EventType.UPDATED: "It was changed",
    EventType.PROCESSED: "It was sorted",
    EventType.TX_APPROVED: "A person decided it",
    EventType.APPROVAL_WITHDRAWN: "What people said of it was taken back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    said: str
    at: datetime
    who: str
    type: str


def entries(events: Sequence[Event], names: Mapping[str, str]) -> list[Entry]:
    """The latest first. `names` has the paths of the categories that there are, by id."""
    return [
        Entry(said=_said(event, names), at=event.occurred_at, who=event.actor, type=event.type)
        for event in reversed(events)
    ]


def _said(event: Event, names: Mapping[str, str]) -> str:
    payload = event.payload
    match event.type:
        case EventType.TX_APPROVED:
            verdict = "Approved" if payload.get("verdict") == "approve" else "Corrected"
            was = payload.get("was")
            before = f", before {names.get(was, GONE)}" if was and was != payload.get("category_id") else ""
            return f"{verdict} as {names.get(payload.get('category_id', ''), GONE)}{before}"
        case EventType.UPDATED if payload.get("change") in _CHANGES:
            return _CHANGES[payload["change"]]
        case EventType.PROCESSED if payload.get("status"):
            category = names.get(str(payload.get("category_id")), GONE) if payload.get("category_id") else ""
            decided = payload["status"] == RecordStatus.PROCESSED
            became = f"sorted as {category}" if decided and category else _BECAME.get(payload["status"], "sorted")
            return f"{'A run of rules had it' if payload.get('run_id') else 'It was'} {became}"
    return _PLAIN[EventType(event.type)] if event.type in _PLAIN else event.type.replace("_", " ").capitalize()
