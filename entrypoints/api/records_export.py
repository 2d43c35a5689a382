"""Records out, all of them, streamed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any
from uuid import UUID

from flask import Response

from core.domain.categories import paths
from core.domain.permissions import Permission
from core.domain.spreadsheets import RECORD_COLUMNS, cell
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint
from entrypoints.api.limits import Kind, limited
from entrypoints.api.records import record_filter
from entrypoints.api.responses import dumps, plain_rows
from entrypoints.api.schemas.records import ExportQuerySchema
from entrypoints.api.state import actor, container

blp = Blueprint("export", "Records out.", "/records/export")
Page = Sequence[Mapping[str, Any]]


@blp.route("")
@limited(Kind.COSTLY)
@needs(Permission.RECORDS_READ)
@blp.query(ExportQuerySchema)
@blp.answer(200, description="The records, as CSV or as a JSON object a line.", content_type="text/csv")
def export_records(query: dict[str, Any]) -> Response:
    """All matching records. In CSV, texts that a spreadsheet would take for a formula begin with an apostrophe."""
    kind, caller = query.pop("format"), actor()
    names = paths(container().list_categories(caller)) if kind == "csv" else {}
    pages = container().export_records(caller, record_filter(query))
    first = list(next(pages, ()))  # before the answer begins, so that a failure still has a status
    everything = chain([first], pages)
    body = _csv(everything, names) if kind == "csv" else _ndjson(everything)
    mimetype = "text/csv" if kind == "csv" else "application/x-ndjson"
    headers = {"Content-Disposition": f'attachment; filename="records.{kind}"'}
    return Response(body, headers=headers, mimetype=mimetype)


def _ndjson(pages: Iterator[Page]) -> Iterator[bytes]:
    for page in pages:
        yield b"".join(dumps(row) + b"\n" for row in plain_rows(page))


def _csv(pages: Iterator[Page], names: Mapping[UUID, str]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(RECORD_COLUMNS)
    for page in pages:
        writer.writerows([cell(value) for value in _row(row, names)] for row in page)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def _row(row: Mapping[str, Any], names: Mapping[UUID, str]) -> Iterator[Any]:
    shown = {
        **row,
        "category": names.get(row["category_id"]),
        "tags": " ".join(row["tags"]),
        "attributes": dumps(row["attributes"]).decode() if row["attributes"] else "",
        "occurred_at": row["occurred_at"].isoformat(),
    }
    return (shown[name] for name in RECORD_COLUMNS)
