from __future__ import annotations

from marshmallow import Schema, fields

from core.domain.receipts import MatchState
from entrypoints.api.schemas.base import Amount

PROBABILITY = {"description": "How likely it is that they belong together, as it was worked out last: 0 to 1."}


class SaidSchema(Schema):
    """What a receipt says."""

    amount = Amount("What was to be paid, without a sign.", allow_none=True)
    currency = fields.String(allow_none=True)
    day = fields.Date(allow_none=True, metadata={"description": "Of the purchase."})
    merchant = fields.String(allow_none=True)


class RecordReceiptSchema(SaidSchema):
    """A receipt of a record, or one that is suggested for it."""

    receipt_id = fields.UUID()
    url = fields.String()
    state = fields.String(metadata={"enum": [MatchState.LINKED.value, MatchState.SUGGESTED.value]})
    score = fields.Float(allow_none=True, metadata=PROBABILITY)
    filename = fields.String()
    mime_type = fields.String()
