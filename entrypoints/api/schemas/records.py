from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from core.domain.decisions import Stage
from core.domain.records import MAX_AMOUNT, MAX_SHORT, RecordStatus
from core.usecases.record_changes import MAX_CHANGED
from core.usecases.withdraw import MAX_RECORDS
from entrypoints.api.schemas.base import ChangeSchema, LimitSchema, Moment, Whole, page_of

_SHORT = validate.Length(1, MAX_SHORT)


MAX_VERSION = 2**31 - 1
_MOST_DECIMALS = 400
"""Of a bound: the smallest number that a float can be has fewer."""
AMOUNT = {
    "type": ["number", "string"],
    "pattern": r"^-?[0-9]{1,24}(\.[0-9]{1,12})?$",
    "minimum": -float(MAX_AMOUNT),
    "maximum": float(MAX_AMOUNT),
}


def comparable(amount: Any) -> None:
    if abs(amount) > MAX_AMOUNT or -amount.as_tuple().exponent > _MOST_DECIMALS:
        raise ValidationError(f"Not an amount up to {MAX_AMOUNT:.0E} with at most {_MOST_DECIMALS} decimals.")


class RecordSchema(Schema):
    """A record as lists show it: whole but for the `raw` that its source sent."""

    id = fields.UUID()
    connection_id = fields.UUID()
    import_id = fields.UUID(allow_none=True)
    kind = fields.String()
    account = fields.String()
    external_id = fields.String()
    occurred_at = Moment(metadata={"type": "string", "description": "An instant, or a date where no more is known."})
    text = fields.String()
    counterparty = fields.String()
    amount = fields.Decimal(as_string=True, allow_none=True, metadata={"type": "string"})
    currency = fields.String(allow_none=True)
    attributes = fields.Dict()
    pending = fields.Boolean()
    status = fields.String(metadata={"enum": [s.value for s in RecordStatus]})
    category_id = fields.UUID(allow_none=True)
    stage = fields.String(allow_none=True)
    confidence = fields.Float(allow_none=True)
    threshold = fields.Float(allow_none=True)
    model_version = fields.String(allow_none=True)
    selection_probability = fields.Float(allow_none=True)
    reasoning_trace = fields.Dict(allow_none=True)
    failure = fields.String(allow_none=True)
    tags = fields.List(fields.String())
    created_at = fields.DateTime()
    updated_at = fields.DateTime()
    version = fields.Integer()
    rule_id = fields.UUID(allow_none=True, metadata={"description": "The rule that decided, asked or suggested."})


RecordPageSchema = page_of(RecordSchema)


class WholeRecordSchema(RecordSchema):
    raw = fields.Dict(metadata={"description": "What the source sent."})


class CameFilterSchema(Schema):
    """Filters by what came, whatever became of it."""

    account = fields.String(validate=validate.Length(max=MAX_SHORT))
    kind = fields.String(validate=_SHORT)
    connection_id = fields.UUID()
    since = fields.Date(metadata={"description": "The first day, in the tenant's time zone."})
    until = fields.Date(metadata={"description": "The last day."})
    min_amount = fields.Decimal(validate=comparable, metadata=AMOUNT)
    max_amount = fields.Decimal(validate=comparable, metadata=AMOUNT)
    currency = fields.String(validate=validate.Regexp("^[A-Z]{3}$"))
    text = fields.String(validate=_SHORT, metadata={"description": "Part of text or counterparty."})


STATUS = validate.OneOf([s.value for s in RecordStatus])


class RecordFilterSchema(CameFilterSchema):
    status = fields.List(fields.String(validate=STATUS))
    category_id = fields.UUID()
    stage = fields.String(validate=validate.OneOf([s.value for s in Stage]))
    import_id = fields.UUID()


class RecordsQuerySchema(RecordFilterSchema, LimitSchema):
    after = fields.String(load_default=None, metadata={"description": "`next` of the page before."})
    order = fields.String(
        load_default="arrival",
        validate=validate.OneOf(["arrival", "newest"]),
        metadata={"description": "As they came; or the latest day first, and of a day what came last."},
    )


class FacetValueSchema(Schema):
    value = fields.String(allow_none=True, metadata={"description": "Null: records that have none."})
    count = fields.Integer()


class FacetSchema(Schema):
    values = fields.List(fields.Nested(FacetValueSchema), metadata={"description": "The commonest first."})
    others = fields.Integer(metadata={"description": "Records of all further values."})


class FacetsSchema(Schema):
    status = fields.Nested(FacetSchema)
    category = fields.Nested(FacetSchema)
    stage = fields.Nested(FacetSchema)
    connection = fields.Nested(FacetSchema)
    currency = fields.Nested(FacetSchema)
    kind = fields.Nested(FacetSchema)
    month = fields.Nested(FacetSchema, metadata={"description": "As 2026-03, in the tenant's time zone."})


class RecordFacetsSchema(Schema):
    facets = fields.Nested(FacetsSchema)
    seen = fields.Integer(metadata={"description": "Records that were looked at: the newest."})
    approximate = fields.Boolean(metadata={"description": "There are older ones, which were not looked at."})


class ExportQuerySchema(RecordFilterSchema):
    format = fields.String(load_default="csv", validate=validate.OneOf(["csv", "ndjson"]))


class RecordsInQuerySchema(Schema):
    connection_id = fields.UUID(load_default=None, metadata={"description": "A connection of the connector `json`."})
    approved = fields.Boolean(
        load_default=False, metadata={"description": "The categories given are a person's: history to learn from."}
    )


class RecordChangeSchema(ChangeSchema):
    category_id = fields.UUID(metadata={"description": "Settles the record: a person's word."})
    tags = fields.List(fields.String(validate=validate.Length(1, 64)), validate=validate.Length(max=20))
    attributes = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 100)),
        validate=validate.Length(max=200),
        metadata={"maxProperties": 200},
    )


class NamedRecordSchema(Schema):
    record_id = fields.UUID(required=True)
    version = Whole(
        load_default=None,
        validate=validate.Range(1, MAX_VERSION),
        metadata={"description": "Refused where the record has another by now; left out: whatever it is."},
    )


class CategorisedRecordSchema(NamedRecordSchema):
    category_id = fields.UUID(required=True, metadata={"description": "Settles the record: a person's word."})


class CategoriesOfRecordsSchema(Schema):
    records = fields.List(
        fields.Nested(CategorisedRecordSchema), required=True, validate=validate.Length(1, MAX_CHANGED)
    )


class WithdrawnRecordsSchema(Schema):
    records = fields.List(fields.Nested(NamedRecordSchema), required=True, validate=validate.Length(1, MAX_RECORDS))
