from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.drift import ASKS
from core.domain.promise import RATE_DAYS, Keeping

MAX_MONTHS = 36


class PromiseQuerySchema(Schema):
    months = fields.Integer(
        load_default=12,
        validate=validate.Range(1, MAX_MONTHS),
        metadata={"description": "How many calendar months, the present one among them."},
    )


class ToTellSchema(Schema):
    checks = fields.Integer(metadata={"description": "How many more may tell, if they turn out like those so far."})
    days = fields.Integer(
        allow_none=True,
        metadata={"description": f"In which so many are answered, as in the last {RATE_DAYS} days; null if none was."},
    )


class FiguresSchema(Schema):
    decided = fields.Integer(metadata={"description": "Records that were decided alone, or went to a person."})
    automated = fields.Integer(metadata={"description": "Those that were decided alone, spot-checked or not."})
    automation = fields.Float(allow_none=True, metadata={"description": "The share of the two, 0 to 1."})
    checked = fields.Integer(metadata={"description": "Answered spot checks."})
    precision = fields.Float(
        allow_none=True,
        metadata={"description": "Estimated share of `automated` that is right, each check weighted by the inverse of "
                  "the chance with which it was drawn; null without a check."},
    )  # fmt: skip
    interval = fields.List(
        fields.Float(), allow_none=True, metadata={"description": "95 % confidence, low and high: no proof."}
    )
    status = fields.String(
        validate=validate.OneOf(list(Keeping)),
        metadata={"description": "`kept`: the interval lies at or above the promise. `at_risk`: it lies below, or the "
                  "running test tightened the stage. `unknown`: neither."},
    )  # fmt: skip
    words = fields.String(metadata={"description": "The same in a sentence."})
    to_tell = fields.Nested(
        ToTellSchema,
        allow_none=True,
        metadata={"description": "Null where it can be told, or won't be in a long time."},
    )


class StandingSchema(Schema):
    stage = fields.String()
    strictness = fields.Integer(
        metadata={"description": f"Steps by which the running test tightened it, 0 to {ASKS}; each halves the errors "
                  f"that it may make."},
    )  # fmt: skip
    wanted = fields.Float(
        allow_none=True, metadata={"description": "The precision that it aims at; null: it decides nothing alone."}
    )


class StageFiguresSchema(FiguresSchema, StandingSchema):
    pass


class MonthFiguresSchema(FiguresSchema):
    month = fields.String(metadata={"description": "Of the decision, in the tenant's time zone, such as 2026-03."})


class PromiseSchema(Schema):
    promised = fields.Float(metadata={"description": "The tenant's `promise`."})
    since = fields.Date()
    overall = fields.Nested(FiguresSchema)
    stages = fields.List(fields.Nested(StageFiguresSchema))
    months = fields.List(fields.Nested(MonthFiguresSchema), metadata={"description": "The latest first."})
