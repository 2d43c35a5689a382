from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from core.domain.evaluations import FEWEST_ASKED, LARGEST_SHARE, MOST, SHARE, EvaluationStatus
from entrypoints.api.schemas.base import Flag, LimitSchema, Real, Whole


class NewEvaluationSchema(Schema):
    promise = Real(
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, 1),
        metadata={"description": "The precision to keep; null for the tenant's."},
    )
    test = Whole(
        load_default=None,
        allow_none=True,
        validate=validate.Range(FEWEST_ASKED, int(MOST * LARGEST_SHARE)),
        metadata={"description": "How many of the latest records are asked about; instead of `test_share`."},
    )
    test_share = Real(
        load_default=SHARE,
        validate=validate.Range(0.0, LARGEST_SHARE, min_inclusive=False),
        metadata={
            "exclusiveMinimum": 0,
            "description": "The share of the history, its latest part, that is asked about.",
        },
    )
    with_rules = Flag(
        load_default=False,
        metadata={"description": "The tenant's present rules act, too. Who wrote them knew the history, so their "
                  "figures flatter."},
    )  # fmt: skip

    @validates_schema(pass_original=True)
    def _one_of_them(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> None:
        if data.get("test") is not None and "test_share" in original:
            raise ValidationError("Give test or test_share, not both.", "test")


class StageReportSchema(Schema):
    decided = fields.Integer()
    precision = fields.Float()


class WorstCategorySchema(Schema):
    category_id = fields.UUID()
    key = fields.String()
    name = fields.String()
    records = fields.Integer(metadata={"description": "Of those that were asked about."})
    accuracy = fields.Float()
    coverage = fields.Float(metadata={"description": "The share of them that was decided alone."})
    precision = fields.Float(allow_none=True)


class ReportSchema(Schema):
    accuracy = fields.Float(metadata={"description": "The share whose best candidate is right, without abstaining."})
    promise = fields.Float()
    coverage = fields.Float(metadata={"description": "The share of the stream that would be decided alone."})
    precision = fields.Float(
        allow_none=True, metadata={"description": "The share of that which is right; null where there is nothing."}
    )
    interval = fields.List(
        fields.Float(), allow_none=True, metadata={"description": "95 % confidence of `precision`, low and high."}
    )
    by_stage = fields.Dict(keys=fields.String(), values=fields.Nested(StageReportSchema))
    worst_categories = fields.List(
        fields.Nested(WorstCategorySchema),
        metadata={"description": "Whose records are most often taken for something else, at most five."},
    )
    train = fields.Integer(metadata={"description": "Records that were taught, the older ones."})
    test = fields.Integer(metadata={"description": "Records that were asked about, the newer ones."})
    unasked = fields.Integer(
        metadata={"description": "Newer records that count for nothing: people changed them unasked."}
    )
    test_since = fields.String(
        metadata={"format": "date", "description": "The day of the first newer record, in the tenant's time zone."}
    )
    history = fields.Integer(metadata={"description": "Records that people decided, in all."})
    most = fields.Integer(metadata={"description": f"No more than the latest {MOST:,} are used."})
    seconds = fields.Float()


class EvaluationSchema(Schema):
    id = fields.UUID()
    job_id = fields.UUID()
    status = fields.String(metadata={"enum": [s.value for s in EvaluationStatus]})
    promise = fields.Float()
    test = fields.Integer(allow_none=True)
    test_share = fields.Float()
    with_rules = fields.Boolean()
    requested_by = fields.String()
    created_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)
    report = fields.Nested(ReportSchema, allow_none=True, metadata={"description": "Null until it is done."})
    failure = fields.String(allow_none=True)


class EvaluationsQuerySchema(LimitSchema):
    before = fields.UUID(load_default=None, metadata={"description": "`next` of the page before."})
