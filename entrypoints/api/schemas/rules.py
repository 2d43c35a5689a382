from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.rules import MAX_NAME, RuleStage
from core.usecases.rules import MAX_PRIORITY
from entrypoints.api.schemas.base import ChangeSchema, Flag

_NAME = validate.Length(1, MAX_NAME)
_STAGE = validate.OneOf([s.value for s in RuleStage])
_PRIORITY = validate.Range(-MAX_PRIORITY, MAX_PRIORITY)
_WHEN = {
    "description": 'A condition: {"field", "op", "value"}, {"all": [...]}, {"any": [...]}, {"not": ...}, '
    'or {"type", "params"} of a plugin.'
}
_THEN = {"description": "Any of category (id, key, path or name), tags, fields, review, skip."}


class RuleSchema(Schema):
    id = fields.UUID()
    name = fields.String()
    when = fields.Dict(metadata=_WHEN)
    then = fields.Dict(metadata=_THEN)
    stage = fields.String()
    priority = fields.Integer(metadata={"description": "Lower is asked first, within the stage."})
    stop = fields.Boolean()
    enabled = fields.Boolean()
    pack = fields.String(allow_none=True)
    trusted = fields.Boolean(metadata={"description": "An untrusted rule only suggests."})
    hits = fields.Integer()
    last_hit_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()
    version = fields.Integer()


class NewRuleSchema(Schema):
    name = fields.String(required=True, validate=_NAME)
    when = fields.Dict(required=True, metadata=_WHEN)
    then = fields.Dict(required=True, metadata=_THEN)
    stage = fields.String(validate=_STAGE)
    priority = fields.Integer(strict=True, validate=_PRIORITY)
    stop = Flag()
    enabled = Flag()


class RuleChangeSchema(ChangeSchema):
    name = fields.String(validate=_NAME)
    when = fields.Dict(metadata=_WHEN)
    then = fields.Dict(metadata=_THEN)
    stage = fields.String(validate=_STAGE)
    priority = fields.Integer(strict=True, validate=_PRIORITY)
    stop = Flag()
    enabled = Flag()


class RuleOrderSchema(Schema):
    ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, 10_000))
