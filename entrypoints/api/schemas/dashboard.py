from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.dashboard import DISABLED, MAX_DAYS
from core.domain.drift import ASKS
from core.domain.health import Health
from core.domain.promise import RATE_DAYS, Keeping
from core.usecases.dashboard import DAYS, PROMISE_MONTHS
from core.usecases.learned import DELIVERIES, PROPOSED
from entrypoints.api.schemas.base import Amount

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


class DashboardQuerySchema(Schema):
    days = fields.Integer(
        load_default=DAYS,
        validate=validate.Range(1, MAX_DAYS),
        metadata={"description": "How many calendar days, the present one among them."},
    )


class DaySchema(Schema):
    day = fields.Date(metadata={"description": "In the tenant's time zone."})
    records = fields.Integer(metadata={"description": "All that were sorted that day: the sum of what follows."})
    rules = fields.Integer(metadata={"description": "Decided by rules alone."})
    similarity = fields.Integer()
    llm = fields.Integer()
    human = fields.Integer(metadata={"description": "Asked of a person."})
    history = fields.Integer(metadata={"description": "Came sorted by people."})
    other = fields.Integer(metadata={"description": "Skipped by a rule, or failed."})


class QueueSchema(Schema):
    size = fields.Integer(metadata={"description": "Items that wait for a person."})
    oldest_seconds = fields.Integer(allow_none=True, metadata={"description": "How long the oldest waits."})
    median_seconds = fields.Integer(allow_none=True, metadata={"description": "How long the middle one waits."})


class LlmBillSchema(Schema):
    month = fields.String(metadata={"description": "The calendar month in UTC, such as 2026-03."})
    spent = Amount("US dollars, by the configured prices.")
    reserved = Amount("US dollars set aside for calls under way.")
    cap = Amount("What the tenant and its plan allow; null where nothing does.", allow_none=True)
    left = Amount("What the cap still allows this month.", allow_none=True)
    off = fields.String(allow_none=True, metadata={"description": "Why the LLM is not asked at all; null if it is."})


class PromiseNowSchema(FiguresSchema):
    promised = fields.Float(metadata={"description": "The tenant's `promise`."})
    since = fields.Date(metadata={"description": f"The first day of the latest {PROMISE_MONTHS} calendar months."})


class DashboardSchema(Schema):
    as_of = fields.DateTime(metadata={"description": "From when these figures are: they may be some seconds old."})
    time_zone = fields.String()
    records = fields.Integer(metadata={"description": "All of these days."})
    automation = fields.Float(
        allow_none=True,
        metadata={"description": "The share decided alone, 0 to 1, of what was decided alone or asked of a person."},
    )
    days = fields.List(fields.Nested(DaySchema), metadata={"description": "Each one, the present one last."})
    promise = fields.Nested(PromiseNowSchema)
    queue = fields.Nested(QueueSchema)
    llm = fields.Nested(LlmBillSchema)
    connections = fields.Dict(
        keys=fields.String(validate=validate.OneOf([*(h.value for h in Health), DISABLED])),
        values=fields.Integer(),
        metadata={"description": "How many, by health; `disabled` ones apart."},
    )


class LessonSchema(Schema):
    category_id = fields.UUID()
    count = fields.Integer(metadata={"description": "Records that teach this category."})


class ImportOutcomeSchema(Schema):
    import_id = fields.UUID()
    filename = fields.String()
    created_at = fields.DateTime()
    rules = fields.Integer(metadata={"description": "Decided by rules alone."})
    similarity = fields.Integer()
    llm = fields.Integer()
    asked = fields.Integer(metadata={"description": "Asked of a person, or decided by one."})
    automation = fields.Float(
        allow_none=True, metadata={"description": "The share decided alone, 0 to 1; null where nothing was decided."}
    )


class LearnedSchema(Schema):
    lessons = fields.List(fields.Nested(LessonSchema), metadata={"description": "The category with most first."})
    taught = fields.Integer(metadata={"description": "How many records teach: the sum of `lessons`."})
    learned = fields.Integer(metadata={"description": "How many of them similarity has learned from by now."})
    waiting = fields.Integer(metadata={"description": "Items that wait for a person."})
    alike = fields.Integer(
        metadata={"description": "Those of them whose text differs in digits alone from one that teaches."}
    )
    proposed_rules = fields.Integer(metadata={"description": f"Open proposals, counted up to {PROPOSED}."})
    similarity_alone = fields.Boolean(metadata={"description": "Whether similarity may decide without a person."})
    deliveries = fields.List(
        fields.Nested(ImportOutcomeSchema),
        metadata={"description": f"What became of the latest imports, of the last {DELIVERIES}: the earliest first."},
    )
