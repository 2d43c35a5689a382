"""What people do with a record: give it a category, tags and attributes, take a word back, delete it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, request
from marshmallow import ValidationError
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.domain.records import Record
from core.errors import Conflict, Invalid, VersionMismatch
from entrypoints.api.schemas.records import RecordChangeSchema
from entrypoints.api.state import container
from entrypoints.console.fields import CHANGED, an_id, said_of, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.records.one import record_page, written
from entrypoints.console.shell import done

blp = Blueprint("record_changes", __name__)


@blp.post("/records/<uuid:record_id>/category")
@page_for(Permission.RECORDS_WRITE)
def change_category(record_id: UUID) -> Response:
    record = container().get_record(me(), record_id)
    typed = {"category_id": request.form.get("category_id", "")}
    category_id = an_id(typed["category_id"])
    if category_id is None:
        return record_page(record, 422, errors={"category_id": "Choose a category."}, typed=typed)
    try:
        container().change_record(
            me(), record_id, version=sent_version(), category_id=category_id, tags=None, attributes=None
        )
    except (Invalid, Conflict) as error:
        return record_page(record, error.status, errors={"category_id": str(error)}, typed=typed)
    except VersionMismatch:
        return record_page(record, 409, error=CHANGED, typed=typed)
    return done(f"/records/{record_id}", "The record has its category. It teaches what comes after.")


@blp.post("/records/<uuid:record_id>/details")
@page_for(Permission.RECORDS_WRITE)
def change_details(record_id: UUID) -> Response:
    record = container().get_record(me(), record_id)
    pairs, tags = _pairs(), request.form.get("tags", "")
    typed = {"tags": tags, "attributes": [pair for pair in pairs if any(pair)]}
    changes: dict[str, Any] = {"tags": _lines(tags), "attributes": _attributes(pairs, record)}
    if unnamed := [value for name, value in pairs if value and not name.strip()]:
        return record_page(record, 422, errors={"attributes": f"“{unnamed[0]}” has no name."}, typed=typed)
    try:
        RecordChangeSchema().load(changes)
        container().change_record(me(), record_id, version=sent_version(), category_id=None, **changes)
    except ValidationError as wrong:
        return record_page(record, 422, errors=said_of(wrong), typed=typed)
    except VersionMismatch:
        return record_page(record, 409, error=CHANGED, typed=typed)
    return done(f"/records/{record_id}", "Tags and attributes are saved.")


@blp.post("/records/<uuid:record_id>/withdraw")
@page_for(Permission.RECORDS_WRITE)
def withdraw(record_id: UUID) -> Response:
    try:
        container().withdraw_record(me(), record_id, version=sent_version())
    except VersionMismatch:
        return record_page(container().get_record(me(), record_id), 409, error=CHANGED)
    except Conflict as error:
        return record_page(container().get_record(me(), record_id), error.status, error=str(error))
    return done(f"/records/{record_id}", "Taken back: the record waits for a person again.")


@blp.post("/records/<uuid:record_id>/delete")
@page_for(Permission.RECORDS_WRITE)
def delete(record_id: UUID) -> Response:
    try:
        container().delete_record(me(), record_id, version=sent_version())
    except VersionMismatch:
        return record_page(container().get_record(me(), record_id), 409, error=CHANGED)
    return done("/records", "The record is deleted. No later import brings it back.")


def _pairs() -> list[tuple[str, str]]:
    """The attributes as they were sent: names and values stand beside each other."""
    names, values = request.form.getlist("attribute_name"), request.form.getlist("attribute_value")
    return list(zip(names, values, strict=False))


def _attributes(pairs: list[tuple[str, str]], record: Record) -> dict[str, Any]:
    """What nobody touched stays what it was, be it a number or of several lines; what was typed is text."""
    shown = {(_in_field(name), _in_field(written(value))): name for name, value in record.attributes.items()}
    found: dict[str, Any] = {}
    for name, value in pairs:
        if (was := shown.get((_in_field(name), _in_field(value)))) is not None:
            found[was] = record.attributes[was]
        elif name.strip() and value:
            found[name.strip()] = value
    return found


def _in_field(text: str) -> str:
    """As browsers show and send it: their fields have one line."""
    return text.replace("\r", "").replace("\n", "")


def _lines(text: str) -> list[str]:
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
