"""Why a tenant may do what it may, and what ends where: in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.domain.billing import (
    Access,
    Account,
    Entitlement,
    Subscription,
    SubscriptionStatus,
    Terms,
    entitle,
    read_only_since,
)
from core.domain.plans import Meter
from core.domain.usage import Usage, next_month

_LOCKED = "Everything can be read and exported, nothing can be changed, and what comes in is held until "
_PAID = "it is paid."
_READ_ONLY: Mapping[str, tuple[str, str]] = {
    SubscriptionStatus.PAST_DUE: ("A payment for the plan {plan} is missing for longer than is waited for.", _PAID),
    SubscriptionStatus.UNPAID: ("The plan {plan} is not paid, and its payment is not tried again.", _PAID),
    SubscriptionStatus.PAUSED: ("The trial of the plan {plan} ended without a way to pay for it.", _PAID),
    SubscriptionStatus.CANCELED: ("The subscription of the plan {plan} has ended.", "a plan is ordered."),
    SubscriptionStatus.INCOMPLETE_EXPIRED: ("The plan {plan} was ordered and never paid.", "a plan is ordered."),
}
_FULL: Mapping[str, str] = {
    "comp": "The operator gave the plan {plan}{until}.",
    "none": "The plan {plan} is that of who has no subscription.",
    "unknown_price": "What is paid for is none of the plans that are set up: nothing is limited until the operator"
    " has put that right.",
    SubscriptionStatus.ACTIVE: "The plan {plan} is paid.",
    SubscriptionStatus.TRIALING: "The plan {plan} is tried{until}.",
}
_GRACE = "A payment for the plan {plan} is missing. Everything goes on{until}; after that nothing can be changed."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """How many there are of things that stay, and how many the plan holds; None: any number."""

    used: int
    limit: int | None

    @property
    def full(self) -> bool:
        return self.limit is not None and self.used >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a tenant may work, and in `words` why; `since` is from when on it is read-only, if that is known."""

    access: Access
    words: str
    since: datetime | None


def standing(account: Account, terms: Terms, now: datetime) -> Standing:
    entitlement = entitle(account, terms, now)
    read_only = entitlement.access is Access.READ_ONLY
    return Standing(
        access=entitlement.access,
        words=" ".join(_access(entitlement, account.subscription)),
        since=read_only_since(account, terms, now) if read_only else None,
    )


def explain(
    entitlement: Entitlement,
    subscription: Subscription | None,
    usages: Sequence[Usage],
    *,
    connections: Fill,
    seats: Fill,
    held: int,
) -> str:
    """What is allowed and why, and which limits are reached; `usages` are those of the present month."""
    return " ".join(
        [
            *_access(entitlement, subscription),
            *_records(entitlement, usages, held),
            *_llm(entitlement, usages),
            *_kept(connections, "connection"),
            *_kept(seats, "seat"),
        ]
    )


def _access(entitlement: Entitlement, subscription: Subscription | None) -> Sequence[str]:
    named = {"plan": entitlement.plan.title, "until": _until(entitlement.until)}
    match entitlement.access:
        case Access.GRACE:
            return [_GRACE.format(**named)]
        case Access.READ_ONLY:
            why, ends = _READ_ONLY[entitlement.reason]
            return [why.format(**named), _LOCKED + ends]
        case Access.FULL:
            return [_FULL[entitlement.reason].format(**named), *_ahead(entitlement, subscription)]


def _ahead(entitlement: Entitlement, subscription: Subscription | None) -> Sequence[str]:
    """What is to come of the subscription, if anything is."""
    if subscription is None:
        return []
    if entitlement.reason == "none" and subscription.status is SubscriptionStatus.INCOMPLETE:
        return ["An order waits for its payment."]
    runs = entitlement.reason in (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING)
    if runs and subscription.cancel_at is not None:
        return [f"It ends on {_day(subscription.cancel_at)}, and is not renewed."]
    return []


def _records(entitlement: Entitlement, usages: Sequence[Usage], held: int) -> Sequence[str]:
    usage = next((one for one in usages if one.meter is Meter.RECORDS), None)
    waiting = "" if not held else "1 record is held" if held == 1 else f"{held:,} records are held"
    if entitlement.access is Access.READ_ONLY or usage is None or usage.limit.hard is None:
        return [f"{waiting}."] if waiting else []
    if usage.used < usage.limit.hard:
        return [f"{waiting}, and sorted as soon as there is a worker for it."] if waiting else []
    used_up = f"This month's {usage.limit.hard:,} records are used up"
    if not waiting:
        return [f"{used_up}: what comes in is held until {_day(next_month(usage.month))}, or another plan."]
    return [f"{used_up}: {waiting} until {_day(next_month(usage.month))}, or another plan."]


def _llm(entitlement: Entitlement, usages: Sequence[Usage]) -> Sequence[str]:
    usage = next((one for one in usages if one.meter is Meter.LLM_SPEND), None)
    if entitlement.access is Access.READ_ONLY or usage is None or not usage.limit.hard or usage.used < usage.limit.hard:
        return []
    return [f"This month's {usage.limit.hard:,f} US dollars of the LLM are spent: it is asked nothing more."]


def _kept(fill: Fill, what: str) -> Sequence[str]:
    if not fill.full:
        return []
    if not fill.limit:
        return [f"The plan holds no {what}s."]
    return [f"The {what} of the plan is taken." if fill.limit == 1 else f"All {fill.limit:,} {what}s are taken."]


def _until(moment: datetime | None) -> str:
    return "" if moment is None else f" until {_day(moment)}"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"
