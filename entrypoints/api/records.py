"""Records: bulk in, list, one with its trace, change, removal."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from core.domain.permissions import Permission
from core.domain.records import Record
from core.errors import Invalid
from core.usecases.record_changes import Given
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional, fails_with
from entrypoints.api.cursors import read_day_cursor, read_id_cursor, write_cursor
from entrypoints.api.idempotency import posting
from entrypoints.api.imports import accepted
from entrypoints.api.limits import Kind, limited
from entrypoints.api.receipts import written_of_record
from entrypoints.api.record_lists import MAX_RECORDS, lines_of
from entrypoints.api.responses import if_match, json_response, page, plain_rows, polled, tagged
from entrypoints.api.schemas.approvals import BulkDecidedSchema
from entrypoints.api.schemas.base import everything, page_of
from entrypoints.api.schemas.imports import ImportSchema
from entrypoints.api.schemas.record_receipts import RecordReceiptSchema
from entrypoints.api.schemas.records import (
    CategoriesOfRecordsSchema,
    RecordChangeSchema,
    RecordFacetsSchema,
    RecordFilterSchema,
    RecordPageSchema,
    RecordsInQuerySchema,
    RecordsQuerySchema,
    WholeRecordSchema,
    WithdrawnRecordsSchema,
)
from entrypoints.api.state import actor, container, small_body
from entrypoints.api.uploads import received
from entrypoints.api.waiting import takes_turn, work
from entrypoints.observability import trace_parent
from ports.storage import RecordFilter

blp = Blueprint("records", "What is sorted.", "/records")
CONNECTOR = "json"
MAX_BODY = 32 << 20
_NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_ONE = {
    "type": "object",
    "required": ["occurred_at"],
    "properties": {
        name: {"type": kind}
        for name, kind in {
            "text": "string",
            "counterparty": "string",
            "occurred_at": "string",
            "amount": ["string", "number"],
            "currency": "string",
            "account": "string",
            "external_id": "string",
            "kind": "string",
            "category": "string",
            "pending": "boolean",
            "attributes": "object",
            "raw": "object",
        }.items()
    },
}


@blp.route("")
@needs(Permission.RECORDS_READ)
@blp.query(RecordsQuerySchema)
@blp.answer(200, RecordPageSchema)
def list_records(query: dict[str, Any]) -> Response:
    """Records in the order in which they came, or the latest day first."""
    after, limit, order = query.pop("after"), query.pop("limit"), query.pop("order")
    where = record_filter(query)
    if order == "newest":
        before = None if after is None else read_day_cursor(after)
        dated = container().list_latest_records(actor(), where, before=before, limit=limit + 1)
        answer = page(dated, limit, lambda one: write_cursor(one[0], one[1]["id"]))
        return json_response({**answer, "items": plain_rows([row for _, row in answer["items"]])})
    last = None if after is None else read_id_cursor(after)
    rows = plain_rows(container().list_records(actor(), where, after=last, limit=limit + 1))
    return json_response(page(rows, limit, lambda row: str(row["id"])))


@blp.route("", "POST")
@takes_turn
@limited(Kind.COSTLY)
@needs(Permission.RECORDS_WRITE)
@fails_with(404, 411)
@blp.query(RecordsInQuerySchema)
@blp.answer(202, ImportSchema)
@blp.documented(
    requestBody={
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["records"],
                    "properties": {"records": {"type": "array", "minItems": 1, "maxItems": MAX_RECORDS, "items": _ONE}},
                    "additionalProperties": False,
                }
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
)
def receive_records(query: dict[str, Any]) -> Response:
    """Takes records, as `{"records": [...]}` or a line each; a bad one is refused alone, and the import says why.

    They are sorted in the background. Location tells where to follow that.
    """
    connection_id = query["connection_id"]
    if connection_id is not None:
        connector = container().get_connection(actor(), connection_id).connector
        if connector != CONNECTOR:
            raise Invalid(f"records go to a connection of the connector {CONNECTOR!r}, and this one is {connector!r}")
    options = {**query, "connector": CONNECTOR, "trace_parent": trace_parent()}
    if request.mimetype in _NDJSON:
        with received("records.ndjson") as upload, work():
            return accepted(
                container().receive_import(
                    posting(upload.content), upload.pieces(), filename=upload.filename, **options
                )
            )
    if not request.is_json:
        raise UnsupportedMediaType("send application/json, or application/x-ndjson")
    body = small_body(MAX_BODY)
    with work():
        lines = list(lines_of(body))
        return accepted(container().receive_import(posting(limit=MAX_BODY), lines, filename="records.json", **options))


@blp.route("/facets")
@limited(Kind.COSTLY)
@needs(Permission.RECORDS_READ)
@conditional
@blp.query(RecordFilterSchema)
@blp.answer(200, RecordFacetsSchema)
def count_facets(query: dict[str, Any]) -> dict[str, Any]:
    """How many records in a filter have each status, category, stage, connection, currency, kind and month: each
    without its own part of the filter, so that it tells what else there is to choose."""
    polled()
    found = container().record_facets(actor(), record_filter(query))
    written = {
        facet.value: {
            "values": [{"value": value, "count": count} for value, count in counts.items()],
            "others": found.others[facet],
        }
        for facet, counts in found.counts.items()
    }
    return {"facets": written, "seen": found.seen, "approximate": found.approximate}


@blp.route("/<uuid:record_id>")
@needs(Permission.RECORDS_READ)
@conditional
@blp.answer(200, WholeRecordSchema)
def get_record(record_id: UUID) -> Record:
    """A record with what its source sent and the whole trace of its decision."""
    record = container().get_record(actor(), record_id)
    tagged(record.version)
    return record


@blp.route("/<uuid:record_id>/receipts")
@needs(Permission.RECEIPTS_READ)
@blp.answer(200, page_of(RecordReceiptSchema))
def list_record_receipts(record_id: UUID) -> dict[str, Any]:
    """The receipts of a record, and the likeliest of those that are suggested for it."""
    return everything([written_of_record(one) for one in container().list_record_receipts(actor(), record_id)])


@blp.route("/<uuid:record_id>", "PATCH")
@needs(Permission.RECORDS_WRITE)
@conditional
@blp.body(RecordChangeSchema)
@blp.answer(200, WholeRecordSchema)
def change_record(changes: dict[str, Any], record_id: UUID) -> Record:
    """Gives a record a category, tags or attributes; those given replace those there were."""
    record = container().change_record(
        actor(),
        record_id,
        version=if_match(),
        category_id=changes.get("category_id"),
        tags=changes.get("tags"),
        attributes=changes.get("attributes"),
    )
    tagged(record.version)
    return record


@blp.route("/<uuid:record_id>/withdraw", "POST")
@needs(Permission.RECORDS_WRITE)
@conditional
@blp.answer(200, WholeRecordSchema)
def withdraw_record(record_id: UUID) -> Record:
    """Takes back what people said of a record, in review, by changing it, or before it was imported: it stops teaching,
    and the record waits for a person again."""
    record = container().withdraw_record(posting(), record_id, version=if_match())
    tagged(record.version)
    return record


@blp.route("/category", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RECORDS_WRITE)
@fails_with(404, 412)
@blp.body(CategoriesOfRecordsSchema)
@blp.answer(200, page_of(WholeRecordSchema))
def categorise_records(body: dict[str, Any]) -> dict[str, Any]:
    """Gives all these records their categories or none, as a change of each would: each is a person's word. Answers
    with the records as they are now."""
    given = [Given(**one) for one in body["records"]]
    return everything(container().categorise_records(posting(), given))


@blp.route("/withdraw", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RECORDS_WRITE)
@fails_with(404, 412)
@blp.body(WithdrawnRecordsSchema)
@blp.answer(200, BulkDecidedSchema)
def withdraw_records(body: dict[str, Any]) -> dict[str, Any]:
    """Takes back what people said of all these records or of none. Answers with the records as they are now, and with
    the items by which they wait again."""
    versions = [(one["record_id"], one["version"]) for one in body["records"]]
    done = container().withdraw_records(posting(), versions)
    return everything(done.records) | {"approval_ids": done.approval_ids}


@blp.route("/<uuid:record_id>", "DELETE")
@needs(Permission.RECORDS_WRITE)
@conditional
@blp.answer(204)
def delete_record(record_id: UUID) -> None:
    """Removes a record for good: no later import brings it back."""
    container().delete_record(actor(), record_id, version=if_match())


def record_filter(query: dict[str, Any]) -> RecordFilter:
    return RecordFilter(statuses=tuple(query.pop("status", ())), **query)
