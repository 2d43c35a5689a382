from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from core.domain.report_money import MOST_RATES, Conversion
from core.domain.report_periods import Granularity, Period, Relative, Span
from core.domain.report_schedules import Every, Schedule
from core.domain.reports import MAX_NAME, MOST_PARTIES, PARTIES, Format, ReportKind, ReportSpec, RunStatus
from entrypoints.api.schemas.base import ChangeSchema, LimitSchema, Whole
from entrypoints.api.schemas.records import RecordFilterSchema
from ports.storage import RecordFilter

_CURRENCY = validate.Regexp("^[A-Z]{3}$")
_NAME = validate.Length(1, MAX_NAME)


class PeriodSchema(Schema):
    """A relative period by its name, or a first and a last day."""

    relative = fields.Enum(Relative, by_value=True, metadata={"description": "Counted from the day of the run."})
    since = fields.Date(metadata={"description": "The first day, in the tenant's time zone."})
    until = fields.Date(metadata={"description": "The last day."})

    @validates_schema
    def _one_of_them(self, data: dict[str, Any], **_: Any) -> None:
        if ("relative" in data) == ("since" in data) or ("since" in data) != ("until" in data):
            raise ValidationError("Give relative, or since and until.")

    @post_load
    def _period(self, data: dict[str, Any], **_: Any) -> Period:
        relative: Relative | None = data.get("relative")
        return relative if relative is not None else Span(since=data["since"], until=data["until"])


class ConversionSchema(Schema):
    to = fields.String(required=True, validate=_CURRENCY, metadata={"description": "The currency of all sums."})
    rates = fields.Dict(
        keys=fields.String(validate=_CURRENCY),
        values=fields.Decimal(metadata={"type": ["number", "string"], "exclusiveMinimum": 0}),
        load_default=dict,
        validate=validate.Length(max=MOST_RATES),
        metadata={
            "maxProperties": MOST_RATES,
            "description": "What one unit of each currency is worth in it; currencies without a rate stay apart.",
        },
    )

    @post_load
    def _conversion(self, data: dict[str, Any], **_: Any) -> Conversion:
        return Conversion(**data)


class ReportFilterSchema(RecordFilterSchema):
    class Meta:
        exclude = ("since", "until")

    @post_load
    def _filter(self, data: dict[str, Any], **_: Any) -> RecordFilter:
        return RecordFilter(statuses=tuple(data.pop("status", ())), **data)


class ReportSpecSchema(Schema):
    kind = fields.Enum(ReportKind, by_value=True, required=True)
    period = fields.Nested(PeriodSchema, load_default=Relative.LAST_MONTH)
    compare = fields.Nested(
        PeriodSchema,
        load_default=None,
        allow_none=True,
        metadata={"description": "With `changes`: what to compare with; null for the period before."},
    )
    granularity = fields.Enum(
        Granularity,
        by_value=True,
        load_default=Granularity.MONTH,
        metadata={"description": "The parts of time; weeks begin on Monday."},
    )
    where = fields.Nested(ReportFilterSchema, load_default=RecordFilter, metadata={"description": "Of which records."})
    conversion = fields.Nested(
        ConversionSchema,
        load_default=None,
        allow_none=True,
        metadata={"description": "Null: each currency apart. Amounts of different currencies are never added."},
    )
    parties = Whole(
        load_default=PARTIES,
        validate=validate.Range(1, MOST_PARTIES),
        metadata={"description": "With `counterparties`: how many of each currency."},
    )
    formats = fields.List(
        fields.Enum(Format, by_value=True),
        load_default=tuple(Format),
        validate=validate.Length(1, len(Format)),
        metadata={"uniqueItems": True, "minItems": 1},
    )

    @post_load
    def _spec(self, data: dict[str, Any], **_: Any) -> ReportSpec:
        return ReportSpec(**{**data, "formats": tuple(data["formats"])})


class ScheduleSchema(Schema):
    every = fields.Enum(Every, by_value=True, required=True)
    hour = Whole(
        required=True,
        validate=validate.Range(0, 23),
        metadata={"description": "The full hour in the tenant's time zone; one that clocks skip is the next instant."},
    )
    weekday = Whole(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, 7),
        metadata={"description": "With each week: 1 is Monday."},
    )
    day = Whole(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, 31),
        metadata={"description": "With each month; in one that has no such day, its last."},
    )
    paused = fields.Boolean(load_default=False, metadata={"description": "Kept, and without turns until it is not."})

    @post_load
    def _schedule(self, data: dict[str, Any], **_: Any) -> Schedule:
        return Schedule(**data)


class NewReportSchema(Schema):
    definition_id = fields.UUID(load_default=None, metadata={"description": "Of the definition to make it by; or:"})
    name = fields.String(load_default="", validate=validate.Length(max=MAX_NAME))
    spec = fields.Nested(ReportSpecSchema, load_default=None, metadata={"description": "What to report."})

    @validates_schema
    def _one_of_them(self, data: dict[str, Any], **_: Any) -> None:
        if (data.get("definition_id") is None) == (data.get("spec") is None):
            raise ValidationError("Give definition_id or spec.", "spec")


class NewDefinitionSchema(Schema):
    name = fields.String(required=True, validate=_NAME)
    spec = fields.Nested(ReportSpecSchema, required=True)
    schedule = fields.Nested(
        ScheduleSchema, load_default=None, allow_none=True, metadata={"description": "Null: only when asked for."}
    )


class DefinitionChangeSchema(ChangeSchema):
    name = fields.String(validate=_NAME)
    spec = fields.Nested(ReportSpecSchema, metadata={"description": "In place of the whole of what it was."})
    schedule = fields.Nested(ScheduleSchema, allow_none=True)


class SpecOutSchema(Schema):
    kind = fields.String(metadata={"enum": [one.value for one in ReportKind]})
    period = fields.Nested("PeriodOutSchema")
    compare = fields.Nested("PeriodOutSchema", allow_none=True)
    granularity = fields.String(metadata={"enum": [one.value for one in Granularity]})
    where = fields.Dict()
    conversion = fields.Dict(allow_none=True)
    parties = fields.Integer()
    formats = fields.List(fields.String(metadata={"enum": [one.value for one in Format]}))


class PeriodOutSchema(Schema):
    relative = fields.String(metadata={"enum": [one.value for one in Relative]})
    since = fields.String(metadata={"format": "date"})
    until = fields.String(metadata={"format": "date"})


class ScheduleOutSchema(Schema):
    every = fields.String(metadata={"enum": [one.value for one in Every]})
    hour = fields.Integer()
    weekday = fields.Integer(allow_none=True)
    day = fields.Integer(allow_none=True)
    paused = fields.Boolean()


class DefinitionSchema(Schema):
    id = fields.UUID()
    name = fields.String()
    spec = fields.Nested(SpecOutSchema)
    schedule = fields.Nested(ScheduleOutSchema, allow_none=True)
    next_run_at = fields.DateTime(allow_none=True)
    created_by = fields.String()
    created_at = fields.DateTime()
    updated_at = fields.DateTime()
    version = fields.Integer()


class ReportFileSchema(Schema):
    format = fields.String(metadata={"enum": [one.value for one in Format]})
    name = fields.String()
    bytes = fields.Integer()
    sha256 = fields.String()
    href = fields.String(metadata={"description": "Where it is downloaded."})


class ReportRunSchema(Schema):
    id = fields.UUID()
    job_id = fields.UUID()
    definition_id = fields.UUID(allow_none=True)
    name = fields.String()
    spec = fields.Nested(SpecOutSchema)
    since = fields.Date(metadata={"description": "The first day of the period."})
    until = fields.Date(metadata={"description": "The last one."})
    slot = fields.DateTime(allow_none=True, metadata={"description": "The turn of its schedule; null: asked for."})
    status = fields.String(metadata={"enum": [one.value for one in RunStatus]})
    requested_by = fields.String()
    created_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)
    rows = fields.Integer(allow_none=True)
    files = fields.List(fields.Nested(ReportFileSchema))
    failure = fields.String(allow_none=True)
    expired_at = fields.DateTime(
        allow_none=True, metadata={"description": "Since when its files are no longer kept; null: they are."}
    )


class ReportsQuerySchema(LimitSchema):
    before = fields.UUID(load_default=None, metadata={"description": "`next` of the page before."})
    definition_id = fields.UUID(load_default=None, metadata={"description": "Only those made by this one."})
    kind = fields.Enum(ReportKind, by_value=True, load_default=None)
    status = fields.Enum(RunStatus, by_value=True, load_default=None)
