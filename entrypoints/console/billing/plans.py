"""The plans that can be had, each beside what is used now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, request

from core.domain.billing import ENDED, RUNNING
from core.domain.permissions import Permission
from core.domain.plans import Feature, Interval, Meter, Plan
from core.errors import SortationError
from core.usecases.billing import BillingState
from entrypoints.api.state import container
from entrypoints.console.billing import words
from entrypoints.console.billing.gauges import Gauge, gauges_of, held
from entrypoints.console.billing.parts import shared
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import show
from entrypoints.console.words import whole

blp = Blueprint("billing_plans", __name__)
_FEATURES = {Feature.LLM: "Language model", Feature.EVALUATIONS: "Evaluations"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a plan holds of something; `note` says in how far that is less than there is now, if it is."""

    what: str
    holds: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A plan that can be had. `present`: the tenant has it; `earlier`: it has an earlier version of it. `orders` are
    the ways to pay for it that can be chosen now, each with its button; `why_not` is why there is none."""

    plan: Plan
    lines: Sequence[Line]
    present: bool
    earlier: bool
    trial_days: int
    orders: Sequence[tuple[Interval, str]]
    why_not: str = ""


@blp.get("/billing/plans")
@page_for(Permission.BILLING_READ)
def plans() -> Response:
    return plans_page()


def plans_page(error: SortationError | None = None) -> Response:
    """With what went wrong at an order."""
    state: BillingState = container().show_billing(me())
    base = container().terms().base
    offered = container().list_plans() if words.sells(state, base) else []
    return show(
        "billing/plans.html",
        200 if error is None else error.status,
        **shared(state),
        cards=[_card(plan, intervals, plan.key == base, state) for plan, intervals in offered],
        left="canceled" in request.args and error is None,
        statuses=words.STATUSES,
        error=error,
    )


def _card(plan: Plan, intervals: Sequence[Interval], base: bool, state: BillingState) -> Card:
    subscription, now = state.account.subscription, state.entitlement.plan
    tried = subscription is None and not base
    orders, why_not = _taking_base(state) if base else _ordering(plan, intervals, state)
    return Card(
        plan=plan,
        lines=_lines(plan, state),
        present=plan.name == now.name,
        earlier=plan.key == now.key and plan.name != now.name,
        trial_days=plan.trial_days if tried else 0,
        orders=orders,
        why_not=why_not,
    )


def _taking_base(state: BillingState) -> tuple[Sequence[tuple[Interval, str]], str]:
    subscription = state.account.subscription
    if subscription is not None and subscription.status not in ENDED:
        return [], "To be had when the present plan has ended: cancel that first."
    if state.entitlement.reason in ("none", "comp"):
        return [], ""
    return [(Interval.MONTH, "Take it")], ""


def _ordering(
    plan: Plan, intervals: Sequence[Interval], state: BillingState
) -> tuple[Sequence[tuple[Interval, str]], str]:
    subscription = state.account.subscription
    if not words.orderable(state):
        return [], "A payment is missing: make that first."
    runs = subscription is not None and subscription.status in RUNNING
    verb = "Change to it" if runs else "Order it"
    ends = subscription is not None and subscription.cancel_at is not None
    bought = None if state.bought is None or ends or not runs else (state.bought[0].name, state.bought[1])
    return [(one, f"{verb}, {words.INTERVALS[one]}") for one in intervals if (plan.name, one) != bought], ""


def _lines(plan: Plan, state: BillingState) -> Sequence[Line]:
    records, llm, connections, seats = gauges_of(state)
    return [
        _of_month("Records a month", plan, Meter.RECORDS, records),
        _of_month("Language model", plan, Meter.LLM_SPEND, llm),
        _of_fill(plan.connections, connections),
        _of_fill(plan.seats, seats),
        _kept(plan, state.entitlement.plan),
        *(
            Line(what=title, holds="yes" if one in plan.features else "no")
            for one, title in _FEATURES.items()
            if one is not Feature.LLM
        ),
    ]


def _of_month(what: str, plan: Plan, meter: Meter, now: Gauge) -> Line:
    holds, ends = held(plan, meter)
    if holds is None:
        return Line(what=what, holds="no limit")
    told = now.told(holds) if ends in (None, holds) else f"{now.told(holds)}, at most {now.told(ends or holds)}"
    most = holds if ends is None else ends
    if now.used > most:
        return Line(what=what, holds=told, note=f"{now.told(now.used)} are used this month")
    if now.ahead is not None and now.ahead > most:
        return Line(what=what, holds=told, note=f"{now.told(now.ahead)} are forecast for this month")
    return Line(what=what, holds=told if holds else "none")


def _of_fill(limit: int | None, now: Gauge) -> Line:
    if limit is None:
        return Line(what=now.title, holds="any number")
    if now.used > limit:
        note = f"{whole(int(now.used))} are there: they stay, and none can be added"
        return Line(what=now.title, holds=whole(limit), note=note)
    return Line(what=now.title, holds=whole(limit))


def _kept(plan: Plan, present: Plan) -> Line:
    what = "Records are kept"
    if plan.retention_days is None:
        return Line(what=what, holds="for ever")
    shorter = present.retention_days is None or present.retention_days > plan.retention_days
    note = "older ones are deleted once you have had the plan for 30 days" if shorter else ""
    return Line(what=what, holds=f"{whole(plan.retention_days)} days", note=note)
