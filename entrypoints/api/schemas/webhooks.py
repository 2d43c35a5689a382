from __future__ import annotations

from marshmallow import Schema, fields

from entrypoints.api.schemas.imports import RefusalSchema


class TakenSchema(Schema):
    id = fields.UUID(metadata={"description": "The delivery's."})
    event_id = fields.String()
    duplicate = fields.Boolean(metadata={"description": "The event came before: nothing more is done about it."})


class DeliverySchema(Schema):
    id = fields.UUID(metadata={"description": "The `import_id` of its records."})
    connection_id = fields.UUID()
    event_id = fields.String(metadata={"description": "The source's, or the digest of the body."})
    job_id = fields.UUID()
    bytes = fields.Integer()
    status = fields.String(metadata={"description": "received, done or failed"})
    inserted = fields.Integer()
    known = fields.Integer()
    refused = fields.Integer()
    refusals = fields.List(fields.Nested(RefusalSchema), metadata={"description": "The first 200."})
    failure = fields.String(allow_none=True)
    received_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)
