from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.jobs import JobStatus, Stream
from entrypoints.api.responses import MAX_LIMIT
from entrypoints.api.schemas.base import AfterSchema


class JobSchema(Schema):
    id = fields.UUID()
    stream = fields.String()
    status = fields.String(metadata={"enum": [s.value for s in JobStatus]})
    payload = fields.Dict()
    progress = fields.Dict()
    attempts = fields.Integer()
    max_attempts = fields.Integer()
    due_at = fields.DateTime()
    last_error = fields.String(allow_none=True)
    request_id = fields.String(allow_none=True)
    source_agent = fields.String()
    created_at = fields.DateTime()
    started_at = fields.DateTime(allow_none=True)
    finished_at = fields.DateTime(allow_none=True)
    dead_letter_queue = fields.String(metadata={"description": "Where the job is when it is dead."})


class JobCountSchema(Schema):
    stream = fields.String()
    status = fields.String()
    jobs = fields.Integer()


class JobCountsSchema(Schema):
    items = fields.List(fields.Nested(JobCountSchema))
    next = fields.String(allow_none=True)


class DeadJobsQuerySchema(AfterSchema):
    newest = fields.Boolean(load_default=False, metadata={"description": "The newest first."})
    stream = fields.String(load_default=None, validate=validate.OneOf([s.value for s in Stream]))


class JobsQuerySchema(DeadJobsQuerySchema):
    status = fields.List(fields.String(validate=validate.OneOf([s.value for s in JobStatus])), load_default=list)


class ReplaySchema(Schema):
    ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, MAX_LIMIT))
