"""What the tenant pays for, used, and was billed; and what its provider tells of that."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

import structlog
from flask import request

from core.domain.billing import Comp, Subscription
from core.domain.jobs import Job
from core.domain.payments import Purpose
from core.domain.permissions import Permission
from core.domain.plans import Interval, Meter, Plan
from core.domain.usage import Usage
from core.errors import WebhookRefused
from core.usecases.billing import BillingState
from entrypoints.api.auth import needs, public
from entrypoints.api.blueprint import Blueprint, conditional, fails_with, keyless
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.metrics import of_app as metrics
from entrypoints.api.responses import fields_of, polled
from entrypoints.api.schemas.base import everything, page_of
from entrypoints.api.schemas.billing import (
    BillingSchema,
    CheckoutSchema,
    EventOutcomeSchema,
    HostedPageSchema,
    InvoiceSchema,
    InvoicesQuerySchema,
    OfferedPlanSchema,
    PortalSchema,
    UsageQuerySchema,
    UsageSchema,
)
from entrypoints.api.schemas.jobs import JobSchema
from entrypoints.api.state import actor, container, small_body
from entrypoints.api.waiting import of_app as waiting
from entrypoints.api.waiting import takes_turn
from ports.payments import HostedPage

blp = Blueprint("billing", "The plan, its payment, and what was used of it.", "/billing")
REFUSED = "refused"
"""The outcome of an event that is not signed as it should be."""
_STEPS = {Meter.RECORDS: Decimal(1), Meter.LLM_SPEND: Decimal("0.01")}
"""What forecasts are rounded to."""
log = structlog.get_logger("sortation.api")


@blp.route("")
@needs(Permission.BILLING_READ)
@conditional
@blp.answer(200, BillingSchema)
def show_billing() -> dict[str, Any]:
    """What the tenant may do now and why, and what of its plan is taken."""
    polled()
    return state_of(container().show_billing(actor()))


@blp.route("/usage")
@needs(Permission.BILLING_READ)
@blp.query(UsageQuerySchema)
@blp.answer(200, page_of(UsageSchema))
def show_usage(query: dict[str, Any]) -> dict[str, Any]:
    """What was used by calendar month (UTC), the present one first. Of months that are over there is only what was
    used, and what was never counted is left out."""
    return everything([_usage(one) for one in container().show_usage(actor(), months=query["months"])])


@blp.route("/plans")
@needs(Permission.BILLING_READ)
@blp.answer(200, page_of(OfferedPlanSchema))
def list_plans() -> dict[str, Any]:
    """What can be ordered."""
    base = container().terms().base
    return everything([_offered(plan, intervals, base) for plan, intervals in container().list_plans()])


@blp.route("/invoices")
@needs(Permission.BILLING_READ)
@fails_with(502)
@blp.query(InvoicesQuerySchema)
@blp.answer(200, page_of(InvoiceSchema))
def list_invoices(query: dict[str, Any]) -> dict[str, Any]:
    """The latest invoices, newest first; the provider is asked now. 503 `busy` as for `/billing/checkout`."""
    with waiting().turn(actor().tenant_id):
        return everything(container().list_invoices(actor(), limit=query["limit"]))


@blp.route("/checkout", "POST")
@takes_turn
@limited(Kind.COSTLY)
@needs(Permission.BILLING_WRITE)
@fails_with(502)
@blp.body(CheckoutSchema)
@blp.answer(200, HostedPageSchema)
def order_plan(body: dict[str, Any]) -> HostedPage:
    """Where to confirm and pay the order of a plan, in the place of the one that the tenant has. The provider is asked
    now: one request at a time for a tenant, few for all, else 503 `busy`."""
    with waiting().turn(actor().tenant_id):
        page: HostedPage = container().order_plan(posting(), **body | {"interval": Interval(body["interval"])})
    return page


@blp.route("/portal", "POST")
@takes_turn
@limited(Kind.COSTLY)
@needs(Permission.BILLING_WRITE)
@keyless
@fails_with(502)
@blp.body(PortalSchema)
@blp.answer(200, HostedPageSchema)
def open_portal(body: dict[str, Any]) -> HostedPage:
    """Where to look after payments: all of it, the way to pay, or the end of the subscription. 503 `busy` as above."""
    with waiting().turn(actor().tenant_id):
        page: HostedPage = container().open_portal(actor(), **body | {"purpose": Purpose(body["purpose"])})
    return page


@blp.route("/refresh", "POST")
@limited(Kind.COSTLY)
@needs(Permission.BILLING_WRITE)
@blp.answer(202, JobSchema)
def refresh_billing() -> tuple[Job, dict[str, str]]:
    """Has the provider asked what is paid, in the background: for who comes back from its pages. Location tells where
    to follow the job."""
    job: Job = container().refresh_billing(posting())
    return job, {"Location": f"/api/v1/jobs/{job.id}"}


@blp.route("/webhook", "POST")
@limited(Kind.WEBHOOK)
@public
@keyless
@fails_with(401)
@blp.answer(200, EventOutcomeSchema)
@blp.documented(requestBody={"required": True, "content": {"application/json": {"schema": {}}}})
def receive_event() -> dict[str, str]:
    """Takes what the provider of payments tells, signed by one of the secrets that it shares with us. What is so now is
    asked of it, and never believed from here."""
    body = small_body(container().settings().max_webhook_bytes)
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        outcome = container().receive_payment_event(headers, body).value
    except WebhookRefused as refused:
        metrics().payment_event(REFUSED)
        log.warning("payment event refused", reason=str(refused), address=request.remote_addr)
        raise WebhookRefused from None  # which says nothing of the reason
    metrics().payment_event(outcome)
    return {"outcome": outcome}


def state_of(state: BillingState) -> dict[str, Any]:
    account, entitlement = state.account, state.entitlement
    return {
        "provider": state.provider,
        "plan": _plan(entitlement.plan),
        "access": entitlement.access.value,
        "reason": entitlement.reason,
        "words": state.words,
        "until": entitlement.until,
        "subscription": None if account.subscription is None else _subscription(account.subscription, state.bought),
        "comp": None if account.comp is None else _comp(account.comp),
        "fetched_at": account.fetched_at,
        "connections": state.connections,
        "seats": state.seats,
        "held": state.held,
    }


def _plan(plan: Plan) -> dict[str, Any]:
    limits = {meter.value: plan.limit(meter) for meter in Meter} | {
        name: getattr(plan, name) for name in ("connections", "seats", "retention_days")
    }
    return {
        "key": plan.key,
        "version": plan.version,
        "title": plan.title,
        "limits": limits,
        "features": sorted(plan.features),
    }


def _offered(plan: Plan, intervals: Sequence[Interval], base: str) -> dict[str, Any]:
    return _plan(plan) | {"trial_days": plan.trial_days, "intervals": intervals, "base": plan.key == base}


def _subscription(subscription: Subscription, bought: tuple[Plan, Interval] | None) -> dict[str, Any]:
    plan, interval = (None, None) if bought is None else (bought[0].key, bought[1].value)
    return fields_of(subscription, "id", "price_id", "created_at") | {"plan": plan, "interval": interval}


def _comp(comp: Comp) -> dict[str, Any]:
    return {"plan": comp.plan_key, "version": comp.plan_version, "until": comp.until, "reason": comp.reason}


def _usage(usage: Usage) -> dict[str, Any]:
    ahead = usage.forecast
    return {
        "meter": usage.meter.value,
        "month": f"{usage.month:%Y-%m}",
        "used": usage.used,
        "soft": usage.limit.soft,
        "hard": usage.limit.hard,
        "percent": usage.percent and round(usage.percent, 2),
        "forecast": None if ahead is None else ahead.quantize(_STEPS[usage.meter], ROUND_CEILING),
    }
