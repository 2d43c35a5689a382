from __future__ import annotations

from marshmallow import Schema, fields, validate

from entrypoints.api.schemas.base import Amount
from entrypoints.api.schemas.records import RecordFilterSchema

MAX_MONTHS = 36


class LlmUsageQuerySchema(Schema):
    months = fields.Integer(load_default=3, validate=validate.Range(1, MAX_MONTHS))


class LlmMeansSchema(Schema):
    model = fields.String(allow_none=True)
    off = fields.String(allow_none=True, metadata={"description": "Why the LLM is not asked at all; null if it is."})
    cap = Amount("The tenant's llm_monthly_cap.", allow_none=True)
    left = Amount("What the cap still allows this month.", allow_none=True)


class LlmMonthSchema(Schema):
    month = fields.String(metadata={"description": "The calendar month in UTC, such as 2026-03."})
    calls = fields.Integer(metadata={"description": "Requests that were sent."})
    failed = fields.Integer(metadata={"description": "Of the calls: those that brought no answer."})
    estimated = fields.Integer(metadata={"description": "Of the calls: those whose tokens nobody counted."})
    unpriced = fields.Integer(metadata={"description": "Of the calls: those made while no prices were configured."})
    records = fields.Integer(metadata={"description": "Records that were answered by a call."})
    cached = fields.Integer(metadata={"description": "Records that were answered without one."})
    prompt_tokens = fields.Integer()
    completion_tokens = fields.Integer()
    cost = Amount("US dollars, by the configured prices.")
    reserved = Amount("US dollars set aside for calls under way, or whose worker was lost; counts against the cap.")
    seconds = fields.Float()


class LlmUsageSchema(LlmMeansSchema):
    months = fields.List(fields.Nested(LlmMonthSchema), metadata={"description": "The present one first."})


class LlmPlanQuerySchema(Schema):
    where = fields.Nested(
        RecordFilterSchema,
        load_default=dict,
        metadata={"description": "Which records; without a status, those that are ingested or wait for review."},
    )


class LlmPlanSchema(LlmMeansSchema):
    records = fields.Integer(metadata={"description": "How many would be asked about, at most."})
    seen = fields.Integer(metadata={"description": "The newest of them, which the rest is made of."})
    distinct = fields.Integer(metadata={"description": "Contents that differ: each is asked about once."})
    sampled = fields.Integer(metadata={"description": "Of the distinct contents: what the rest is scaled up from."})
    cached = fields.Integer(metadata={"description": "Of the distinct contents: those answered already."})
    refused = fields.Integer(metadata={"description": "Of the distinct contents: those that read like orders."})
    asked = fields.Integer(metadata={"description": "Of the distinct contents: those to be asked about."})
    calls = fields.Integer()
    prompt_tokens = fields.Integer()
    completion_tokens = fields.Integer()
    cost = Amount("US dollars; null where no prices are configured.", allow_none=True)
    fits = fields.Boolean(metadata={"description": "Whether the LLM is asked, and the cap allows it all."})
