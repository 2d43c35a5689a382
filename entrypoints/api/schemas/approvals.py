from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.approvals import Verdict
from core.usecases.review import MAX_ANSWERS
from entrypoints.api.schemas.base import LimitSchema, Moment
from entrypoints.api.schemas.record_receipts import RecordReceiptSchema

_DECIDED = {"description": "Only of decided items."}
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
    amount = fields.Decimal(as_string=True, allow_none=True, metadata={"type": "string"})
    currency = fields.String(allow_none=True)
    attributes = fields.Dict()
    pending = fields.Boolean()
    tags = fields.List(fields.String())


class QueueItemSchema(Schema):
    """Of an open item neither confidence nor reason is told: spot checks must look like any other item."""

    id = fields.UUID()
    suggested_id = fields.UUID(allow_none=True, metadata={"description": "The category that `approve` gives."})
    urgency = fields.Float(metadata={"description": "How much an answer is worth: 0 to 1."})
    group_key = fields.String(metadata={"description": "Equal for items that one answer may settle."})
    created_at = fields.DateTime()
    record = fields.Nested(ReviewRecordSchema)
    receipts = fields.List(
        fields.Nested(RecordReceiptSchema),
        metadata={"description": "Linked ones and the likeliest suggestion; of open items, for `receipts:read`."},
    )
    confidence = fields.Float(metadata=_DECIDED)
    verdict = fields.String(validate=_VERDICT, metadata=_DECIDED)
    category_id = fields.UUID(metadata={"description": "The category that was given; only of decided items."})
    decided_by = fields.String(metadata=_DECIDED)
    decided_at = fields.DateTime(metadata=_DECIDED)
    withdrawn_by = fields.String(allow_none=True, metadata=_DECIDED)
    withdrawn_at = fields.DateTime(allow_none=True, metadata=_DECIDED)


class QueueQuerySchema(LimitSchema):
    after = fields.String(load_default=None, metadata={"description": "`next` of the page before."})
    group_key = fields.String(load_default=None, validate=validate.Length(1, 64))
    status = fields.String(
        load_default="open",
        validate=validate.OneOf(["open", "decided", "withdrawn"]),
        metadata={"description": "What waits, the most urgent first; or what was decided, the latest first."},
    )


class GroupSchema(Schema):
    group_key = fields.String()
    size = fields.Integer(metadata={"description": "Open items."})
    agreeing = fields.Integer(metadata={"description": "How many of them have this suggestion."})
    suggested_id = fields.UUID(allow_none=True)
    urgency = fields.Float(metadata={"description": "How much an answer is worth: 0 to 1."})
    approval_id = fields.UUID(metadata={"description": "The most urgent item."})
    record = fields.Nested(ReviewRecordSchema, metadata={"description": "Of the most urgent item."})


class GroupsQuerySchema(LimitSchema):
    after = fields.String(load_default=None, metadata={"description": "`next` of the page before."})


class GroupDecidedSchema(Schema):
    decided = fields.Integer()
    remaining = fields.Integer(metadata={"description": "Items of the group that wait still: send the answer again."})


class AnswerSchema(Schema):
    verdict = fields.String(required=True, validate=_VERDICT)
    category_id = fields.UUID(load_default=None, metadata={"description": "The category of an override."})


class NamedAnswerSchema(AnswerSchema):
    approval_id = fields.UUID(required=True)


class AnswersSchema(Schema):
    answers = fields.List(fields.Nested(NamedAnswerSchema), required=True, validate=validate.Length(1, MAX_ANSWERS))
