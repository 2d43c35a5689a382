"""Coming back from where people pay: what happened there is told once who takes the payments has said it.

The address says where somebody comes from, and proves nothing: anybody can make such a link. So it is told what the
provider was asked and answered, and never that something was paid because of the address.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from core.domain.billing import SubscriptionStatus
from core.domain.permissions import Permission
from core.domain.plans import Interval, Plan
from core.usecases.billing import BillingState
from entrypoints.api.responses import json_response, polled
from entrypoints.api.state import container
from entrypoints.console.billing.parts import shared
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import show

blp = Blueprint("billing_coming_back", __name__)
_TITLES = {
    "checkout": "Your order",
    "order": "Your order",
    "payment_method": "Your way to pay",
    "cancel": "Your plan's end",
}
_TITLE = "Your plan"
_HAS_IT = frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING})


@blp.get("/billing/back")
@page_for(Permission.BILLING_READ)
def back() -> Response:
    state: BillingState = container().show_billing(me())
    ordered, came_from = _ordered(), request.args.get("from", "")
    since = container().clock().now().timestamp()
    asked_for = {"from": came_from if came_from in _TITLES else "portal", "since": str(since)}
    if ordered is not None:
        asked_for |= {"plan": ordered[0].key, "interval": ordered[1].value}
    return show(
        "billing/back.html",
        **shared(state),
        title=_TITLES.get(came_from, _TITLE),
        ordered=None if ordered is None else ordered[0].title,
        there=ordered is not None and _has(state, *ordered),
        poll=f"/billing/back/state?{urlencode(asked_for)}",
    )


@blp.get("/billing/back/state")
@page_for(Permission.BILLING_READ)
def back_state() -> Response:
    """Whether there is an answer, and what may be done now, for the page that is open."""
    polled()
    return json_response(_told(container().show_billing(me())))


def _told(state: BillingState) -> dict[str, Any]:
    """Of an order: whether the plan is there. Of all else: whether the provider was asked since the page came: what it
    was asked before that, it may have answered as things were before."""
    ordered = _ordered()
    fetched_at = state.account.fetched_at
    answered = fetched_at is not None and fetched_at.timestamp() >= request.args.get("since", 0.0, type=float)
    there = answered if ordered is None else _has(state, *ordered)
    return {"there": there, "answered": answered, "words": state.words}


def _ordered() -> tuple[Plan, Interval] | None:
    """The plan that the address names, and by what it is paid, where there are such."""
    plan, interval = request.args.get("plan", ""), request.args.get("interval", "")
    found = container().terms().catalog.newest(plan)
    return None if found is None or interval not in set(Interval) else (found, Interval(interval))


def _has(state: BillingState, plan: Plan, interval: Interval) -> bool:
    subscription, bought = state.account.subscription, state.bought
    if subscription is None or bought is None or subscription.status not in _HAS_IT:
        return False
    if subscription.cancel_at is not None:  # it was ordered to be kept
        return False
    return (bought[0].name, bought[1]) == (plan.name, interval)
