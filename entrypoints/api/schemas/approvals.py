from __future__ import annotations

from uuid import UUID

from marshmallow import Schema, ValidationError, fields, validate

from core.domain.approvals import Verdict
from core.domain.evidence import COUNTED, EvidenceKind
from core.usecases.review import MAX_ANSWERS
from core.usecases.withdraw import MAX_WITHDRAWN
from entrypoints.api.schemas.base import LimitSchema, Moment
from entrypoints.api.schemas.record_receipts import RecordReceiptSchema
from entrypoints.api.schemas.records import CameFilterSchema, RecordPageSchema, WholeRecordSchema
from entrypoints.api.schemas.rules import DecisionRuleSchema, RuleSchema

MOST_EXPLAINED = 100
NO_SUGGESTION = "none"
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
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


class ReviewEvidenceSchema(Schema):
    """One thing that speaks for a category; what does not go with its kind is null."""

    kind = fields.String(metadata={"enum": [kind.value for kind in EvidenceKind]})
    words = fields.String(metadata={"description": "The same in one short sentence."})
    count = fields.Integer(allow_none=True, metadata={"description": "Examples that people approved so."})
    more = fields.Boolean(metadata={"description": f"There are more than the latest {COUNTED}, which were looked at."})
    last_on = fields.Date(allow_none=True, metadata={"description": "The day on which the last of them occurred."})
    rule_id = fields.UUID(allow_none=True)
    name = fields.String(allow_none=True, metadata={"description": "Of the rule."})
    text = fields.String(allow_none=True, metadata={"description": "What the LLM said, or the nearest text."})


class ReviewChoiceSchema(Schema):
    category_id = fields.UUID()
    evidence = fields.List(fields.Nested(ReviewEvidenceSchema))


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
    agent = fields.String(
        allow_none=True,
        metadata={"description": "The agent that decided by an API key, null for a person; only of decided items."},
    )
    withdrawn_by = fields.String(allow_none=True, metadata=_DECIDED)
    withdrawn_at = fields.DateTime(allow_none=True, metadata=_DECIDED)
    alike = fields.Integer(
        metadata={"description": "Open items that one answer may settle, this one among them; only with `candidates`."}
    )
    candidates = fields.List(
        fields.Nested(ReviewChoiceSchema),
        metadata={"description": "Categories that it could get, the best first; only where asked for."},
    )


def _suggestion(value: str) -> None:
    if value == NO_SUGGESTION:
        return
    try:
        UUID(value)
    except ValueError:
        raise ValidationError("Not the id of a category, or none.") from None


class QueueFilterSchema(CameFilterSchema):
    """Of records, as in `GET /records`, and of what is suggested."""

    suggested_id = fields.String(
        validate=_suggestion,
        metadata={
            "description": f"A category, or `{NO_SUGGESTION}`: items without a suggestion.",
            "pattern": f"^({NO_SUGGESTION}|{_UUID})$",
        },
    )


class QueueQuerySchema(QueueFilterSchema, LimitSchema):
    after = fields.String(load_default=None, metadata={"description": "`next` of the page before."})
    group_key = fields.String(validate=validate.Length(1, 64))
    skipped = fields.Boolean(
        load_default=False, metadata={"description": "Instead of the others, what you skipped in the last day."}
    )
    status = fields.String(
        load_default="open",
        validate=validate.OneOf(["open", "decided", "withdrawn"]),
        metadata={"description": "What waits, the most urgent first; or what was decided, the latest first."},
    )
    evidence = fields.Boolean(
        load_default=False,
        metadata={"description": f"With `candidates`, and what speaks for each: of {MOST_EXPLAINED} items at most."},
    )


class GroupSchema(Schema):
    group_key = fields.String()
    size = fields.Integer(metadata={"description": "Open items."})
    agreeing = fields.Integer(metadata={"description": "How many of them have this suggestion."})
    suggested_id = fields.UUID(allow_none=True)
    urgency = fields.Float(metadata={"description": "How much an answer is worth: 0 to 1."})
    approval_id = fields.UUID(metadata={"description": "The most urgent item."})
    record = fields.Nested(ReviewRecordSchema, metadata={"description": "Of the most urgent item."})


class GroupsQuerySchema(QueueFilterSchema, LimitSchema):
    after = fields.String(load_default=None, metadata={"description": "`next` of the page before."})


class GroupDecidedSchema(Schema):
    decided = fields.Integer()
    remaining = fields.Integer(metadata={"description": "Items of the group that wait still: send the answer again."})
    approval_ids = fields.List(fields.UUID(), metadata={"description": "What was decided, to be withdrawn by."})
    created_rule = fields.Nested(RuleSchema, metadata={"description": "Where one was asked for."})


class BulkDecidedSchema(RecordPageSchema):  # type: ignore[misc, valid-type]
    approval_ids = fields.List(
        fields.UUID(), metadata={"description": "What was decided, to be withdrawn by; or what waits again."}
    )


class WithdrawnSchema(Schema):
    ids = fields.List(
        fields.UUID(), required=True, validate=validate.Length(1, MAX_WITHDRAWN), metadata={"uniqueItems": True}
    )


class SkippedSchema(Schema):
    approval_id = fields.UUID()
    until = fields.DateTime(metadata={"description": "When it comes back into your queue."})


class AnswerSchema(Schema):
    verdict = fields.String(required=True, validate=_VERDICT)
    category_id = fields.UUID(load_default=None, metadata={"description": "The category of an override."})


class DecisionSchema(AnswerSchema):
    rule = fields.Nested(
        DecisionRuleSchema,
        load_default=None,
        allow_none=True,
        metadata={"description": "Made with the decision, and gives what it gives; needs rules:write, too."},
    )


class DecidedRecordSchema(WholeRecordSchema):
    created_rule = fields.Nested(RuleSchema, metadata={"description": "Where one was asked for."})


class RuleDraftQuerySchema(Schema):
    category_id = fields.UUID(
        load_default=None, metadata={"description": "What it is to give, if not what was given or is suggested."}
    )


class NamedAnswerSchema(AnswerSchema):
    approval_id = fields.UUID(required=True)


class AnswersSchema(Schema):
    answers = fields.List(fields.Nested(NamedAnswerSchema), required=True, validate=validate.Length(1, MAX_ANSWERS))
