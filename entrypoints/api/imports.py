"""Imports: files in, their progress, and their undoing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response

from core.domain.connections import Import
from core.domain.permissions import Permission
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional, fails_with
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import json_response, page, polled
from entrypoints.api.schemas.base import page_of
from entrypoints.api.schemas.imports import (
    DryRunSchema,
    ImportQuerySchema,
    ImportSchema,
    ImportsOfSchema,
    UndoneSchema,
)
from entrypoints.api.state import actor, container
from entrypoints.api.uploads import received
from entrypoints.api.waiting import takes_turn, work
from entrypoints.observability import trace_parent

blp = Blueprint("imports", "Files in, and what became of them.", "/imports")
_BINARY = {"type": "string", "format": "binary"}


@blp.route("", "POST")
@takes_turn
@limited(Kind.COSTLY)
@needs(Permission.RECORDS_WRITE)
@fails_with(404, 411, 502)
@blp.query(ImportQuerySchema)
@blp.also(200, DryRunSchema, description="The answer to `dry_run`.")
@blp.answer(202, ImportSchema)
@blp.documented(
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": _BINARY}, "required": ["file"]}
            },
            "application/octet-stream": {"schema": _BINARY},
        },
    }
)
def receive_import(query: dict[str, Any]) -> Response:
    """Takes a file: its records are read and sorted in the background. Location tells where to follow that."""
    target = {"connection_id": query["connection_id"], "connector": query["connector"]}
    with received(query["filename"]) as upload, work():
        if query["dry_run"]:
            told = container().dry_run_import(actor(), upload.pieces(), filename=upload.filename, **target)
            return json_response(DryRunSchema().dump(told))
        imported = container().receive_import(
            posting(upload.content),
            upload.pieces(),
            filename=upload.filename,
            approved=query["approved"],
            trace_parent=trace_parent(),
            **target,
        )
    return accepted(imported)


@blp.route("")
@needs(Permission.RECORDS_READ)
@blp.query(ImportsOfSchema)
@blp.answer(200, page_of(ImportSchema))
def list_imports(query: dict[str, Any]) -> dict[str, Any]:
    """Imports, of one connection or of all, newest first."""
    imports = container().list_imports(
        actor(), before=query["before"], limit=query["limit"] + 1, connection_id=query["connection_id"]
    )
    return page(imports, query["limit"], lambda imported: str(imported.id))


@blp.route("/<uuid:import_id>")
@needs(Permission.RECORDS_READ)
@conditional
@blp.answer(200, ImportSchema)
def get_import(import_id: UUID) -> Import:
    """An import, as far as it got."""
    polled()
    return container().get_import(actor(), import_id)


@blp.route("/<uuid:import_id>/undo", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RECORDS_WRITE)
@blp.answer(200, UndoneSchema)
def undo_import(import_id: UUID) -> dict[str, Any]:
    """Removes the records that the import added and nobody decided since."""
    imported, removed, kept = container().undo_import(posting(), import_id)
    return {"imported": imported, "removed": removed, "kept": kept}


def accepted(imported: Import) -> Response:
    """202 and the import: its job does the rest."""
    headers = {"Location": f"/api/v1/imports/{imported.id}"}
    return json_response(ImportSchema().dump(imported), 202, headers)
