"""Files in: a statement is uploaded, and sorted while one watches."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response
from marshmallow import Schema, fields
from werkzeug.wrappers import Response as AnyResponse

from core.domain.permissions import Permission
from core.domain.tenants import STAGES
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import json_response, page, polled
from entrypoints.api.state import container
from entrypoints.api.uploads import received
from entrypoints.api.waiting import takes_turn, work
from entrypoints.console.guard import me, page_for, with_file
from entrypoints.console.sent import asked
from entrypoints.console.shell import done, show
from entrypoints.observability import trace_parent

blp = Blueprint("file_imports", __name__)
LISTED = 25


class PageSchema(Schema):
    after = fields.UUID(load_default=None)


def most() -> int:
    """Bytes of a file."""
    return container().settings().max_upload_bytes


@blp.get("/imports")
@page_for(Permission.RECORDS_READ)
def imports() -> Response:
    after = asked(PageSchema)["after"]
    found = page(container().list_imports(me(), before=after, limit=LISTED + 1), LISTED, lambda one: str(one.id))
    return show(
        "imports/imports.html",
        imports=found["items"],
        following=found["next"],
        most=most(),
    )


@blp.post("/imports")
@takes_turn
@limited(Kind.COSTLY)
@page_for(Permission.RECORDS_WRITE)
@with_file(most)
def upload() -> AnyResponse:
    with received("upload", beside=("form_token",)) as file, work():
        imported = container().receive_import(me(), file.pieces(), filename=file.filename, trace_parent=trace_parent())
    return done(f"/imports/{imported.id}", f"{imported.filename} was received.")


@blp.get("/imports/<uuid:import_id>")
@page_for(Permission.RECORDS_READ)
def an_import(import_id: UUID) -> Response:
    return show("imports/import.html", imported=container().get_import(me(), import_id))


@blp.get("/imports/<uuid:import_id>/progress")
@page_for(Permission.RECORDS_READ)
def progress(import_id: UUID) -> Response:
    """How far it got: what was read, and what became of its records."""
    polled()
    found = container().import_progress(me(), import_id)
    told = {name: getattr(found.imported, name) for name in ("status", "inserted", "known", "refused", "failure")}
    parts = {stage: found.count("processed", stage=stage) for stage in STAGES}
    parts |= {
        "people": found.count("approved", "overridden"),
        "waiting": found.count("needs_review"),
        "held": found.count("held"),
        "failed": found.count("failed"),
        "open": found.count("ingested"),
    }
    return json_response({**told, "parts": parts, "over": found.over})


@blp.post("/imports/<uuid:import_id>/undo")
@limited(Kind.COSTLY)
@page_for(Permission.RECORDS_WRITE)
def undo(import_id: UUID) -> AnyResponse:
    _, removed, kept = container().undo_import(me(), import_id)
    left = f" {kept:,} that people decided since stay." if kept else ""
    return done(f"/imports/{import_id}", f"{removed:,} records were removed.{left}")
