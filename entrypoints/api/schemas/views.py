from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.records import RecordStatus
from core.domain.saved_views import MAX_NAME
from entrypoints.api.schemas.base import ChangeSchema, Flag
from entrypoints.api.schemas.names import a_name
from entrypoints.api.schemas.records import STATUS, RecordFilterSchema

_QUERY = {"description": "Filters as GET /records takes them."}
_SHARED = {"description": "Everybody's, which takes records:write; an API key has no others."}


class ViewSchema(Schema):
    id = fields.UUID()
    name = fields.String()
    query = fields.Dict(metadata=_QUERY | {"description": "Filters of GET /records; they may name what is gone."})
    shared = fields.Boolean(metadata={"description": "Everybody's; else your own."})
    created_at = fields.DateTime()
    version = fields.Integer()


class ViewQuerySchema(RecordFilterSchema):
    """Kept, and so of a bounded size."""

    status = fields.List(fields.String(validate=STATUS), validate=validate.Length(max=len(RecordStatus)))


class NewViewSchema(Schema):
    name = fields.String(required=True, validate=a_name(MAX_NAME))
    query = fields.Nested(ViewQuerySchema, required=True, metadata=_QUERY)
    shared = Flag(load_default=False, metadata=_SHARED)


class ViewChangeSchema(ChangeSchema):
    name = fields.String(validate=a_name(MAX_NAME))
    query = fields.Nested(ViewQuerySchema, metadata=_QUERY)
    shared = Flag(metadata=_SHARED)
