"""What a tenant's payments are, and what to do about them, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.domain.billing import ENDED, RUNNING, Access, SubscriptionStatus
from core.domain.payments import Purpose
from core.domain.plans import BY_HAND, UNLIMITED, Catalog, Interval
from core.usecases.billing import BillingState
from entrypoints.console.words import when

Tone = Literal["healthy", "degraded", "failed", "plain"]
STATUSES: Mapping[str, str] = {
    SubscriptionStatus.TRIALING: "on trial",
    SubscriptionStatus.ACTIVE: "paid",
    SubscriptionStatus.PAST_DUE: "a payment is missing",
    SubscriptionStatus.UNPAID: "not paid",
    SubscriptionStatus.PAUSED: "paused",
    SubscriptionStatus.CANCELED: "ended",
    SubscriptionStatus.INCOMPLETE: "ordered, not paid yet",
    SubscriptionStatus.INCOMPLETE_EXPIRED: "ordered, never paid",
}
INTERVALS: Mapping[Interval, str] = {Interval.MONTH: "by the month", Interval.YEAR: "by the year"}
INVOICES: Mapping[str, tuple[str, str]] = {
    "paid": ("paid", "success"),
    "open": ("to be paid", "warning"),
    "void": ("void", "secondary"),
    "uncollectible": ("given up", "danger"),
}
"""What the states of an invoice are called, and their tones. Another one has the provider's own word."""
PROVIDERS: Mapping[str, str] = {"stripe": "Stripe"}
OWED = frozenset({SubscriptionStatus.PAST_DUE, SubscriptionStatus.UNPAID, SubscriptionStatus.PAUSED})
_PAID = "Once it is paid, everything goes on, and what is held is sorted."


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A button: what is asked of the provider by it, or which plan is ordered; without `fields` it leads to a page
    alone. `ask` is what the person is asked first."""

    label: str
    to: str
    fields: Mapping[str, str] = field(default_factory=dict)
    ask: str = ""
    pressing: bool = False


def by_hand(state: BillingState) -> bool:
    """Whether invoices are written by the operator: then the provider has no pages."""
    return state.provider == BY_HAND


def taken_by(state: BillingState) -> str:
    return "the operator" if by_hand(state) else PROVIDERS.get(state.provider, state.provider)


def sells(state: BillingState, base: str) -> bool:
    """Whether plans are to be had here. Where nobody pays unless the operator says otherwise, none are."""
    return not (by_hand(state) and base == UNLIMITED.key and state.account.subscription is None)


def orderable(state: BillingState) -> bool:
    """Whether another plan can be ordered now: not where a payment that is not tried again is missing."""
    subscription = state.account.subscription
    return subscription is None or subscription.status not in (SubscriptionStatus.UNPAID, SubscriptionStatus.PAUSED)


def tone_of(state: BillingState) -> Tone:
    match state.entitlement.access:
        case Access.READ_ONLY:
            return "failed"
        case Access.GRACE:
            return "degraded"
        case _:
            return "degraded" if state.held or state.entitlement.reason == "unknown_price" else "healthy"


def to_come(state: BillingState) -> str:
    """What comes of a trial by itself; empty where nothing does."""
    subscription = state.account.subscription
    if state.entitlement.reason != SubscriptionStatus.TRIALING or subscription is None or subscription.cancel_at:
        return ""
    due = f"The first payment is due on {when((subscription.trial_end or subscription.period_end).date())}"
    return f"{due}, by an invoice." if by_hand(state) else f"{due}, unless the plan is canceled before."


def to_do(state: BillingState) -> str:
    """What the tenant's owners can do about it; empty where nothing is to be done."""
    reason, subscription = state.entitlement.reason, state.account.subscription
    if reason == "unknown_price":
        return "Tell who runs this installation: the list of plans is to be put right."
    if reason in OWED and by_hand(state):
        return f"Pay the invoice that is open, which the operator notes then. {_PAID}"
    if reason == SubscriptionStatus.PAST_DUE:
        again = f"Check the way to pay at {taken_by(state)}, by which the payment is tried again"
        return f"{again}; or pay the open invoice. {_PAID}"
    if reason in OWED:
        return f"Pay the open invoice, and check the way to pay at {taken_by(state)}. {_PAID}"
    if reason in ENDED:
        return "Choose a plan, the one without payment or another one. Nothing was deleted."
    if reason == "none" and subscription is not None and subscription.status is SubscriptionStatus.INCOMPLETE:
        return "Pay its invoice, or take the order back." if by_hand(state) else "Pay for it, or order anew."
    if state.held:
        return "Choose a plan that holds more, to have them sorted now."
    return ""


def acts(state: BillingState, catalog: Catalog) -> Sequence[Act]:
    """What an owner can do about the payments, without what leads nowhere."""
    subscription, portal = state.account.subscription, "/billing/portal"
    if subscription is None or subscription.status in ENDED:
        return [] if by_hand(state) or state.account.customer_id is None else [_manage(state)]
    found = []
    if not by_hand(state):
        owed = subscription.status in OWED or subscription.status is SubscriptionStatus.INCOMPLETE
        fields = {"purpose": Purpose.PAYMENT_METHOD.value}
        found = [Act(label="Change the way to pay", to=portal, fields=fields, pressing=owed), _manage(state)]
    if subscription.cancel_at is not None:
        return [*found, *_renewal(state, catalog)]
    if subscription.status in RUNNING or by_hand(state):
        found.append(_end(state))
    return found


def _manage(state: BillingState) -> Act:
    label = f"Address, tax id and invoices at {taken_by(state)}"
    return Act(label=label, to="/billing/portal", fields={"purpose": Purpose.MANAGE.value})


def _end(state: BillingState) -> Act:
    subscription, fields = state.account.subscription, {"purpose": Purpose.CANCEL.value}
    if subscription is not None and subscription.status is SubscriptionStatus.INCOMPLETE:
        ask = "Take the order back? Nothing is to be paid for it then."
        return Act(label="Take the order back", to="/billing/portal", fields=fields, ask=ask)
    ask = "Cancel the plan? It ends with what is paid; after that nothing can be changed until a plan is chosen."
    return Act(label="Cancel the plan", to="/billing/portal", fields=fields, ask=ask)


def _renewal(state: BillingState, catalog: Catalog) -> Sequence[Act]:
    """Of a plan that is to end. By hand it is ordered again, which is one click where what is sold is still what was
    bought; others ask at their own page."""
    if not by_hand(state):
        fields = {"purpose": Purpose.MANAGE.value}
        return [Act(label=f"Keep the plan: renew it at {taken_by(state)}", to="/billing/portal", fields=fields)]
    if state.bought is None:
        return []
    plan, interval = state.bought
    if plan != catalog.newest(plan.key):
        return [Act(label="See what you can have after it", to="/billing/plans")]
    fields = {"plan": plan.key, "interval": interval.value}
    return [Act(label="Keep the plan", to="/billing/checkout", fields=fields)]
