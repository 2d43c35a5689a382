from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.usecases.imports import MAX_DRY_RUN
from entrypoints.api.schemas.base import LimitSchema


class RefusalSchema(Schema):
    position = fields.Integer(metadata={"description": "Line or item, from 1."})
    reason = fields.String()


class GapSchema(Schema):
    account = fields.String()
    currency = fields.String()
    opening = fields.String(metadata={"description": "What the statement begins with."})
    closing = fields.String(metadata={"description": "What the statement ends with."})
    total = fields.String(metadata={"description": "The sum of what was read and is booked."})
    gap = fields.String(metadata={"description": "closing - opening - total: what is missing, or too much."})


class ImportSchema(Schema):
    id = fields.UUID()
    connection_id = fields.UUID()
    job_id = fields.UUID()
    filename = fields.String()
    bytes = fields.Integer()
    sha256 = fields.String()
    approved = fields.Boolean()
    status = fields.String(metadata={"description": "received, reading, done, failed or undone"})
    inserted = fields.Integer()
    known = fields.Integer()
    held = fields.Integer(
        metadata={"description": "Of the inserted: those that the plan had no room for then. They wait until it has."}
    )
    refused = fields.Integer()
    refusals = fields.List(fields.Nested(RefusalSchema), metadata={"description": "The first 200."})
    gaps = fields.List(
        fields.Nested(GapSchema),
        metadata={"description": "Statements whose balances differ from what was read, the first 200."},
    )
    failure = fields.String(allow_none=True)
    created_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)


class ImportQuerySchema(Schema):
    filename = fields.String(
        load_default="upload",
        validate=validate.Length(1, 255),
        metadata={"description": "The name of a raw body; a multipart file brings its own."},
    )
    connection_id = fields.UUID(load_default=None)
    connector = fields.String(load_default=None, metadata={"description": "Detected, if left out."})
    dry_run = fields.Boolean(load_default=False, metadata={"description": "Tell what would happen, and keep nothing."})
    approved = fields.Boolean(
        load_default=False,
        metadata={"description": "The categories in the file are a person's: history to learn from."},
    )


class ImportsQuerySchema(LimitSchema):
    before = fields.UUID(load_default=None, metadata={"description": "`next` of the page before."})


class ImportsOfSchema(ImportsQuerySchema):
    connection_id = fields.UUID(load_default=None)


class DryRunSchema(Schema):
    connector = fields.String()
    new = fields.Integer()
    known = fields.Integer()
    refused = fields.Integer()
    refusals = fields.List(fields.Nested(RefusalSchema), metadata={"description": "The first 200."})
    samples = fields.List(fields.Dict(), metadata={"description": "The first few records, as they were read."})
    gaps = fields.List(fields.Nested(GapSchema), metadata={"description": "As an import's."})
    complete = fields.Boolean(
        metadata={"description": f"False where the file has more than the {MAX_DRY_RUN:,} records that are looked at."}
    )


class UndoneSchema(Schema):
    imported = fields.Nested(ImportSchema, data_key="import")
    removed = fields.Integer()
    kept = fields.Integer(metadata={"description": "Records that a person decided since."})
