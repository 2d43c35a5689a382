from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from core.domain.receipts import (
    EXTENSIONS,
    MAX_FILENAME,
    MAX_MERCHANT,
    SAID,
    ReceiptSource,
    ReceiptState,
    Said,
)
from core.domain.records import MAX_SHORT
from entrypoints.api.schemas.approvals import ReviewRecordSchema
from entrypoints.api.schemas.base import ChangeSchema, LimitSchema, page_of
from entrypoints.api.schemas.record_receipts import PROBABILITY, SaidSchema
from entrypoints.api.schemas.records import AMOUNT, comparable

_CURRENCY = validate.Regexp("^[A-Z]{3}$")
_PAID = {"type": ["number", "string"], "pattern": r"^[0-9]{1,24}(\.[0-9]{1,12})?$", "minimum": 0}
_MERCHANT = {"pattern": r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"}


class ReceiptSchema(SaidSchema):
    id = fields.UUID()
    url = fields.String(metadata={"description": "Of its file."})
    filename = fields.String(metadata={"description": "What it was called; nothing believes it."})
    mime_type = fields.String(metadata={"description": "By its content.", "enum": sorted(EXTENSIONS)})
    bytes = fields.Integer()
    sha256 = fields.String()
    source = fields.String(metadata={"enum": [s.value for s in ReceiptSource]})
    connection_id = fields.UUID(allow_none=True)
    uploaded_by = fields.String()
    uploaded_at = fields.DateTime()
    state = fields.String(
        metadata={
            "enum": [s.value for s in ReceiptState],
            "description": "How far it is read; a `picture` says what people say it does.",
        }
    )
    failure = fields.String(allow_none=True, metadata={"description": "Why nothing was read."})
    by_person = fields.List(
        fields.String(validate=validate.OneOf(SAID)),
        metadata={"description": "What people said of it; all else was read."},
    )
    links = fields.Integer(metadata={"description": "Records that it is linked to."})
    version = fields.Integer()


class LinkSchema(Schema):
    record_id = fields.UUID()
    score = fields.Float(allow_none=True, metadata=PROBABILITY)
    decided_by = fields.String()
    decided_at = fields.DateTime()


class WholeReceiptSchema(ReceiptSchema):
    records = fields.List(fields.Nested(LinkSchema))


class ReceiptsQuerySchema(LimitSchema):
    before = fields.UUID(load_default=None, metadata={"description": "`next` of the page before."})
    status = fields.String(
        validate=validate.OneOf(["matched", "unmatched"]),
        metadata={"description": "Whether it is linked to a record."},
    )
    since = fields.Date(metadata={"description": "The first day."})
    until = fields.Date(metadata={"description": "The last day."})
    min_amount = fields.Decimal(validate=comparable, metadata=AMOUNT)
    max_amount = fields.Decimal(validate=comparable, metadata=AMOUNT)
    currency = fields.String(validate=_CURRENCY)
    text = fields.String(
        validate=validate.Length(1, MAX_SHORT), metadata={"description": "Part of the merchant or the file's name."}
    )


class ReceiptQuerySchema(Schema):
    filename = fields.String(
        load_default="receipt",
        validate=validate.Length(1, MAX_FILENAME),
        metadata={"description": "The name of a raw body; a multipart file brings its own."},
    )


class ContentQuerySchema(Schema):
    inline = fields.Boolean(
        load_default=False,
        metadata={"description": "To be shown in a page: for pictures that browsers draw; all else is an attachment."},
    )


class ReceiptChangeSchema(ChangeSchema):
    """What a person says of it; null takes away what was said or read."""

    amount = fields.Decimal(allow_none=True, allow_nan=True, metadata=_PAID)
    currency = fields.String(allow_none=True, validate=_CURRENCY)
    day = fields.Date(allow_none=True)
    merchant = fields.String(allow_none=True, validate=validate.Length(1, MAX_MERCHANT), metadata=_MERCHANT)


class ReceiptFormSchema(Schema):
    """What may come beside a file; an empty field says nothing."""

    amount = fields.Decimal(allow_nan=True)
    currency = fields.String()
    day = fields.Date()
    merchant = fields.String()

    @post_load
    def _said(self, data: dict[str, Any], **_: Any) -> Said:
        return Said(**data)


class LinkingSchema(Schema):
    record_id = fields.UUID(required=True)


class SuggestedRecordSchema(Schema):
    score = fields.Float(metadata=PROBABILITY)
    record = fields.Nested(ReviewRecordSchema)


ReceiptPageSchema = page_of(ReceiptSchema)
