"""What people do with many records of the list at once, and how they take it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from marshmallow import Schema, fields, validate
from werkzeug.wrappers import Response as AnyResponse

from core.domain.permissions import Permission
from core.domain.records import DECIDED_BY_PERSON, Record
from core.errors import Conflict, Invalid, NotFound, SortationError, VersionMismatch
from core.usecases.record_changes import MAX_CHANGED, Given
from entrypoints.api.access import wants_json
from entrypoints.api.limits import Kind, limited
from entrypoints.api.schemas.records import NamedRecordSchema
from entrypoints.api.state import container
from entrypoints.console.fields import CHANGED, an_id
from entrypoints.console.guard import me, page_for
from entrypoints.console.records.lists import PATH, records_page
from entrypoints.console.sent import sent
from entrypoints.console.shell import done

blp = Blueprint("many_records", __name__)
_REFUSED = (NotFound, Invalid, Conflict, VersionMismatch)


class FormerSchema(NamedRecordSchema):
    category_id = fields.UUID(load_default=None, allow_none=True)


class FormersSchema(Schema):
    records = fields.List(fields.Nested(FormerSchema), required=True, validate=validate.Length(1, MAX_CHANGED))


@blp.post(f"{PATH}/category")
@limited(Kind.COSTLY)
@page_for(Permission.RECORDS_WRITE)
def categorise() -> AnyResponse:
    """All that were chosen in the list, or none of them."""
    chosen, category_id = _chosen(), an_id(request.form.get("category_id"))
    if not chosen or category_id is None:
        return _refused(Invalid(f"choose {'a category' if chosen else 'records'} first"), chosen)
    before = container().find_records(me(), chosen)
    given = [Given(record_id=id, version=version, category_id=category_id) for id, version in chosen.items()]
    try:
        records = container().categorise_records(me(), given)
    except _REFUSED as error:
        return _refused(error, chosen)
    said = f"{_counted(len(records))} the category. What was given teaches."
    return done(_back(), said, undo=[_former(record, before[record.id]) for record in records])


@blp.post(f"{PATH}/withdraw")
@limited(Kind.COSTLY)
@page_for(Permission.RECORDS_WRITE)
def withdraw() -> AnyResponse:
    """Of those that were chosen, what people decided; the others stay as they are."""
    chosen = _chosen()
    if not chosen:
        return _refused(Invalid("choose records first"), chosen)
    before = container().find_records(me(), chosen)
    decided = [(id, version) for id, version in chosen.items() if id in before and _by_person(before[id])]
    if not decided:
        return _refused(Conflict("no person decided any of these: there is nothing to take back"), chosen)
    try:
        withdrawn = container().withdraw_records(me(), decided)
    except _REFUSED as error:
        return _refused(error, chosen)
    others = len(chosen) - len(decided)
    left = f" {others:,} that no person decided {'stay' if others > 1 else 'stays'} as before." if others else ""
    said = f"Taken back: {len(decided):,} {'wait' if len(decided) > 1 else 'waits'} for a person again.{left}"
    return done(_back(), said, undo=[_former(record, before[record.id]) for record in withdrawn.records])


@blp.post(f"{PATH}/undo")
@limited(Kind.COSTLY)
@page_for(Permission.RECORDS_WRITE)
def undo() -> AnyResponse:
    """Gives back the categories that people had given before, and has what no person had decided wait for one: each of
    the two for all or none."""
    formers = sent(FormersSchema)["records"]
    if had := [Given(**one) for one in formers if one["category_id"] is not None]:
        container().categorise_records(me(), had)
    if had_none := [(one["record_id"], one["version"]) for one in formers if one["category_id"] is None]:
        container().withdraw_records(me(), had_none)
    parts = [f"{len(had):,} as people had decided" if had else "", f"{len(had_none):,} for review" if had_none else ""]
    return done(PATH, f"Undone: {', '.join(part for part in parts if part)}.")


def _chosen() -> dict[UUID, int]:
    """The versions that were on the page by the records' ids; empty where nothing was chosen. Raises `Invalid` for what
    no page of ours sends."""
    chosen: dict[UUID, int] = {}
    for written in request.form.getlist("record"):
        id, _, version = written.partition(".")
        found = an_id(id)
        if found is None or not (version.isascii() and version.isdecimal() and len(version) <= 9):
            raise Invalid("this form says not which records it means: open the page again")
        chosen[found] = int(version)
    return chosen


def _refused(error: SortationError, chosen: Iterable[UUID]) -> Response:
    """The list again, with what was chosen; a script is told what is wrong alone."""
    if wants_json():
        raise error
    said = CHANGED if isinstance(error, VersionMismatch) else f"Nothing was changed: {error}."
    return records_page(error.status, error=said, chosen=frozenset(chosen))


def _by_person(record: Record) -> bool:
    return record.status in DECIDED_BY_PERSON


def _former(record: Record, before: Record) -> Mapping[str, Any]:
    """What `undo` is sent to have the record as it was, as far as people decided it."""
    category_id = before.category_id if _by_person(before) else None
    return {"record_id": record.id, "version": record.version, "category_id": category_id}


def _counted(number: int) -> str:
    return "1 record has" if number == 1 else f"{number:,} records have"


def _back() -> str:
    asked = request.query_string.decode("ascii", "ignore")
    return f"{PATH}?{asked}" if asked else PATH
