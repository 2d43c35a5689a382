from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.approvals import Verdict
from core.usecases.review import MAX_ANSWERS
from entrypoints.api.schemas.base import LimitSchema, Moment

_VERDICT = validate.OneOf([v.value for v in Verdict])


class ReviewRecordSchema(Schema):
    """What a person needs to judge. How the record stands is left out: spot checks must look like any other item."""

    id = fields.UUID()
    connection_id = fields.UUID()
    kind = fields.String()
    account = fields.String()
    occurred_at = Moment(metadata={"type": "string"})
    text = fields.String()
    counterparty = fields.String()
    amount = fields.Decimal(as_string=True, allow_none=True, metadata={"type": ["string", "null"]})
    currency = fields.String(allow_none=True)
    attributes = fields.Dict()
    pending = fields.Boolean()
    tags = fields.List(fields.String())


class QueueItemSchema(Schema):
    id = fields.UUID()
    suggested_id = fields.UUID(allow_none=True, metadata={"description": "The category that `approve` gives."})
    confidence = fields.Float()
    urgency = fields.Float()
    group_key = fields.String(metadata={"description": "Equal for identical texts."})
    created_at = fields.DateTime()
    record = fields.Nested(ReviewRecordSchema)


class QueueQuerySchema(LimitSchema):
    after = fields.String(load_default=None, metadata={"description": "`next` of the page before."})
    group_key = fields.String(load_default=None, validate=validate.Length(1, 64))


class AnswerSchema(Schema):
    verdict = fields.String(required=True, validate=_VERDICT)
    category_id = fields.UUID(load_default=None, metadata={"description": "The category of an override."})


class NamedAnswerSchema(AnswerSchema):
    approval_id = fields.UUID(required=True)


class AnswersSchema(Schema):
    answers = fields.List(fields.Nested(NamedAnswerSchema), required=True, validate=validate.Length(1, MAX_ANSWERS))
