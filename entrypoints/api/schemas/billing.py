from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.billing import MAX_REASON, Access, SubscriptionStatus
from core.domain.payments import MAX_RETURN_URL, EventOutcome, Purpose
from core.domain.plans import Feature, Interval, Meter
from entrypoints.api.schemas.base import LAST_INSTANT, Amount
from entrypoints.api.schemas.names import a_name

MAX_MONTHS = 24
MAX_INVOICES = 100
_INTERVALS = [interval.value for interval in Interval]
_METERS = [meter.value for meter in Meter]
_KEY = fields.String(required=True, validate=validate.Regexp(r"^[a-z][a-z0-9_-]{0,39}$"))
_REASON = fields.String(
    required=True, validate=a_name(MAX_REASON), metadata={"description": "The tenant reads it. It has no line breaks."}
)
_URL = fields.String(
    required=True,
    validate=validate.Length(1, MAX_RETURN_URL),
    metadata={"description": "Where people come back to: at SORTATION_PUBLIC_URL, or one of SORTATION_RETURN_ORIGINS."},
)


def _most(what: str) -> fields.Integer:
    return fields.Integer(allow_none=True, metadata={"description": f"{what}; null is any number."})


class PlanLimitSchema(Schema):
    soft = Amount("What the plan holds in a month: its owners are told at 80 and at 100 % of it.", allow_none=True)
    hard = Amount("Where it ends; null is nowhere.", allow_none=True)


class PlanLimitsSchema(Schema):
    records = fields.Nested(PlanLimitSchema, metadata={"description": "Records that are taken up to be sorted."})
    llm_spend = fields.Nested(PlanLimitSchema, metadata={"description": "What the LLM costs, in US dollars."})
    connections = _most("Connections that are not disabled")
    seats = _most("Members, and invitations that may still be accepted")
    retention_days = _most("For how many days records are kept")


class PlanSchema(Schema):
    key = fields.String()
    version = fields.Integer()
    title = fields.String()
    limits = fields.Nested(PlanLimitsSchema)
    features = fields.List(fields.String(metadata={"enum": [feature.value for feature in Feature]}))


class OfferedPlanSchema(PlanSchema):
    trial_days = fields.Integer(metadata={"description": "Before the first payment of who never had a subscription."})
    intervals = fields.List(
        fields.String(metadata={"enum": _INTERVALS}),
        metadata={"description": "How it may be paid for; none where it is not sold."},
    )
    base = fields.Boolean(metadata={"description": "Whether it is the plan of who has no subscription."})


class SubscriptionSchema(Schema):
    status = fields.String(metadata={"enum": [status.value for status in SubscriptionStatus]})
    plan = fields.String(allow_none=True, metadata={"description": "What its price buys; null if no plan has that."})
    interval = fields.String(allow_none=True, metadata={"enum": [*_INTERVALS, None]})
    period_start = fields.DateTime()
    period_end = fields.DateTime()
    trial_end = fields.DateTime(allow_none=True)
    cancel_at = fields.DateTime(allow_none=True, metadata={"description": "When it ends without being renewed."})
    past_due_since = fields.DateTime(allow_none=True, metadata={"description": "When the missing payment was due."})


class CompSchema(Schema):
    plan = fields.String()
    version = fields.Integer()
    until = fields.DateTime(allow_none=True, metadata={"description": "Null is for good."})
    reason = fields.String()


class FillSchema(Schema):
    used = fields.Integer()
    limit = _most("What the plan holds")


class BillingSchema(Schema):
    provider = fields.String(metadata={"description": "Who takes the payments; manual: invoices are written by hand."})
    plan = fields.Nested(PlanSchema)
    access = fields.String(
        metadata={
            "enum": [access.value for access in Access],
            "description": "grace: a payment is missing, and everything goes on until `until`. read_only: nothing can"
            " be changed but people, keys, settings and payments.",
        }
    )
    reason = fields.String(
        metadata={
            "description": "A status of the subscription, comp (the operator gave the plan), none (there is no"
            " subscription), or unknown_price (its price is of no plan here)."
        }
    )
    words = fields.String(metadata={"description": "The same in words, and which limits are reached."})
    until = fields.DateTime(allow_none=True, metadata={"description": "When that changes of itself, if it is known."})
    subscription = fields.Nested(SubscriptionSchema, allow_none=True)
    comp = fields.Nested(CompSchema, allow_none=True)
    fetched_at = fields.DateTime(
        allow_none=True, metadata={"description": "When the provider was asked last about the subscription."}
    )
    connections = fields.Nested(FillSchema)
    seats = fields.Nested(FillSchema)
    held = fields.Integer(metadata={"description": "Records that wait until the plan has room for them."})


class UsageQuerySchema(Schema):
    months = fields.Integer(load_default=1, validate=validate.Range(1, MAX_MONTHS))


class UsageSchema(Schema):
    meter = fields.String(metadata={"enum": _METERS, "description": "llm_spend is in US dollars."})
    month = fields.String(metadata={"description": "The calendar month in UTC, such as 2026-03."})
    used = Amount("So far.")
    soft = Amount("What the plan holds; null without a limit, and for a month that is over.", allow_none=True)
    hard = Amount("Where it ends, likewise.", allow_none=True)
    percent = fields.Float(allow_none=True, metadata={"description": "Of `soft`."})
    forecast = Amount(
        "By the month's end, if it goes on as so far; null on the first day, and for a month that is over.",
        allow_none=True,
    )


class InvoicesQuerySchema(Schema):
    limit = fields.Integer(load_default=20, validate=validate.Range(1, MAX_INVOICES))


class InvoiceSchema(Schema):
    id = fields.String()
    number = fields.String(allow_none=True)
    status = fields.String(metadata={"description": "As the provider calls it: open, paid, void, ..."})
    currency = fields.String(metadata={"description": "ISO 4217."})
    total = Amount("In whole units of the currency.")
    due = Amount("What is not paid of it.")
    created_at = fields.DateTime()
    period_start = fields.DateTime()
    period_end = fields.DateTime()
    url = fields.String(
        allow_none=True, metadata={"description": "Where the provider shows it, to whoever has the link."}
    )


class CheckoutSchema(Schema):
    plan = _KEY
    interval = fields.String(load_default=Interval.MONTH.value, validate=validate.OneOf(_INTERVALS))
    success_url = _URL
    cancel_url = _URL


class PortalSchema(Schema):
    purpose = fields.String(
        load_default=Purpose.MANAGE.value, validate=validate.OneOf([purpose.value for purpose in Purpose])
    )
    return_url = _URL


class HostedPageSchema(Schema):
    url = fields.String(
        allow_none=True,
        metadata={"description": "Where to send the browser; null where there is no page: `words` tell what is next."},
    )
    words = fields.String()


class EventOutcomeSchema(Schema):
    outcome = fields.String(
        metadata={
            "enum": [outcome.value for outcome in EventOutcome],
            "description": "ignored: it is nobody's here, or changes nothing that matters here.",
        }
    )


class NewCompSchema(Schema):
    plan = _KEY
    until = fields.AwareDateTime(
        load_default=None,
        allow_none=True,
        validate=validate.Range(max=LAST_INSTANT),
        metadata={"description": "Null is for good."},
    )
    reason = _REASON


class CompReasonSchema(Schema):
    reason = _REASON
