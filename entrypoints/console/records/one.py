"""A record: what came, how it was decided, and what people may do with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, Response

from core.domain.categories import paths
from core.domain.events import EventFilter
from core.domain.permissions import Permission
from core.domain.receipts import RecordReceipt
from core.domain.records import DECIDED_BY_PERSON, Record
from core.errors import NotFound
from entrypoints.api.responses import dumps
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.places import still_there
from entrypoints.console.receipts import words
from entrypoints.console.records.history import entries
from entrypoints.console.records.story import linked, steps, summary, without_lost
from entrypoints.console.shell import show

blp = Blueprint("record_page", __name__)
MOST_EVENTS = 500


@blp.get("/records/<uuid:record_id>")
@page_for(Permission.RECORDS_READ)
def get_record(record_id: UUID) -> Response:
    return record_page(container().get_record(me(), record_id))


def record_page(
    record: Record,
    status: int = 200,
    *,
    error: str = "",
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, Any] | None = None,
) -> Response:
    """With what went wrong, in all or by field, and what was `typed` in place of what the record has."""
    actor = me()
    categories = {str(id): path for id, path in paths(container().list_categories(actor)).items()}
    story = steps(record, categories)
    return show(
        "records/one.html",
        status,
        record=record,
        categories=categories,
        choices=sorted(categories.items(), key=lambda pair: pair[1].casefold()),
        connection=_name_of_connection(record),
        imported=_name_of_import(record),
        summary=summary(record, container().get_tenant(actor).settings.promise),
        steps=without_lost(story, still_there(linked(story))),
        history=_history(record, categories),
        raw=_pretty(record.raw),
        receipts=_receipts(record),
        most=container().settings().max_receipt_bytes,
        words=words,
        withdrawable=record.status in DECIDED_BY_PERSON,
        error=error,
        errors=errors or {},
        typed={
            "category_id": str(record.category_id or ""),
            "tags": "\n".join(record.tags),
            "attributes": written_attributes(record.attributes),
        }
        | dict(typed or {}),
    )


def written_attributes(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """As fields show them: what is no text, as JSON."""
    return [(name, written(value)) for name, value in sorted(attributes.items())]


def written(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


def _history(record: Record, categories: Mapping[str, str]) -> Sequence[object] | None:
    """None for who may not read the log."""
    actor = me()
    if Permission.EVENTS_READ not in actor.permissions:
        return None
    where = EventFilter(subject_id=record.id)
    return entries(container().list_events(actor, where, after=0, limit=MOST_EVENTS), categories)


def _receipts(record: Record) -> Sequence[tuple[RecordReceipt, Sequence[str]]] | None:
    """Those of the record and those that are suggested for it, with what speaks for each; None for who may not see
    any."""
    actor = me()
    if Permission.RECEIPTS_READ not in actor.permissions:
        return None
    zone = container().get_tenant(actor).zone
    found = container().list_record_receipts(actor, record.id)
    return [(one, words.evidence(one.said, None, record, zone)) for one in found]


def _name_of_connection(record: Record) -> str | None:
    try:
        return container().get_connection(me(), record.connection_id).name
    except NotFound:
        return None


def _name_of_import(record: Record) -> str | None:
    if record.import_id is None:
        return None
    try:
        return container().get_import(me(), record.import_id).filename
    except NotFound:
        return None


def _pretty(raw: Mapping[str, Any]) -> str:
    return json.dumps(json.loads(dumps(raw)), indent=2, ensure_ascii=False) if raw else ""
