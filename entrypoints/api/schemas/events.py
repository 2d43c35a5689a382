from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.events import EventType
from entrypoints.api.schemas.base import LimitSchema

MAX_WAIT = 20
_MAX_SEQ = 2**63 - 1


class EventSchema(Schema):
    tenant_id = fields.UUID()
    seq = fields.Integer()
    type = fields.String()
    occurred_at = fields.DateTime()
    source_agent = fields.String()
    actor = fields.String()
    actor_id = fields.UUID(allow_none=True, metadata={"description": "Of the person or the API key."})
    address = fields.String(allow_none=True, metadata={"description": "The IP address that it was done from."})
    user_agent = fields.String(allow_none=True)
    subject_id = fields.UUID(allow_none=True)
    request_id = fields.String(allow_none=True)
    payload = fields.Dict()


class EventPageSchema(Schema):
    items = fields.List(fields.Nested(EventSchema))
    next = fields.String(
        allow_none=True,
        metadata={"description": "Where to go on: null at the end of `newest` alone, since events never end."},
    )


class EventsQuerySchema(LimitSchema):
    after = fields.Integer(load_default=0, validate=validate.Range(0, _MAX_SEQ), metadata={"description": "A `seq`."})
    type = fields.List(fields.String(validate=validate.OneOf([t.value for t in EventType])), load_default=list)
    newest = fields.Boolean(
        load_default=False,
        metadata={"description": "The newest first: those before `after`, or all; `next` is null at the end."},
    )
    source_agent = fields.String(load_default=None, validate=validate.Length(1, 64))
    since = fields.AwareDateTime(load_default=None)
    until = fields.AwareDateTime(load_default=None)
    subject_id = fields.UUID(load_default=None)
    tenant_id = fields.UUID(load_default=None, metadata={"description": "Whose events: with the operator's key."})
    wait = fields.Float(
        load_default=0.0,
        validate=validate.Range(0, MAX_WAIT),
        metadata={"description": "Seconds to wait for the first event, where there is none yet."},
    )
