"""Billing: what a provider says of a tenant's subscription, and what the tenant may do now for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from core.domain.plans import Catalog, Feature, Limit, Meter, Plan
from core.errors import Invalid

MAX_RETURN_URL = 2_000
MAX_REASON = 200


class SubscriptionStatus(StrEnum):
    """As Stripe has them, which is what the field calls them."""

    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"
    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"


_BEST_FIRST = (
    SubscriptionStatus.ACTIVE,
    SubscriptionStatus.TRIALING,
    SubscriptionStatus.PAST_DUE,
    SubscriptionStatus.UNPAID,
    SubscriptionStatus.PAUSED,
    SubscriptionStatus.CANCELED,
    SubscriptionStatus.INCOMPLETE_EXPIRED,
    SubscriptionStatus.INCOMPLETE,
)
ENDED = frozenset({SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED})
"""What never becomes anything else: another subscription takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as its provider has it. `past_due_since` is when the payment was due that is missing; `cancel_at`
    when it ends without being renewed."""

    id: str
    status: SubscriptionStatus
    price_id: str
    created_at: datetime
    period_start: datetime
    period_end: datetime
    trial_end: datetime | None = None
    cancel_at: datetime | None = None
    past_due_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comp:
    """A plan that the operator gives, whatever is paid: until then, or for good (None)."""

    plan_key: str
    plan_version: int
    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is known of a tenant's payments. `subscription` is the provider's as it was at `fetched_at`; `asked_at` is
    when it was last asked for because somebody was denied something.

    `without_since`: from when on the tenant does without a subscription, by its own wish; one that ended before is
    history. `told` is what its people were told last of what it may do, and `holds` whether records of it are held.
    """

    tenant_id: UUID
    customer_id: str | None = None
    subscription: Subscription | None = None
    comp: Comp | None = None
    without_since: datetime | None = None
    fetched_at: datetime | None = None
    asked_at: datetime | None = None
    told: Told | None = None
    holds: bool = False


class Access(StrEnum):
    FULL = "full"
    GRACE = "grace"
    """As full, for as long as a missing payment is waited for."""
    READ_ONLY = "read_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What of an entitlement is told when it changes; `plan_since` is from when on it has been this plan."""

    plan_key: str
    plan_version: int
    access: Access
    reason: str
    plan_since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an installation offers. `base` is the key of the plan of who has no subscription."""

    catalog: Catalog
    base: str
    grace: timedelta

    @property
    def base_plan(self) -> Plan:
        plan = self.catalog.newest(self.base)
        assert plan is not None  # noqa: S101 - checked where terms are made
        return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """What a tenant may do now, and why: `reason` is a status of its subscription, `comp`, `none` (it has no
    subscription) or `unknown_price`. `until` is when that changes of itself, if it is known."""

    plan: Plan
    access: Access
    reason: str
    until: datetime | None = None

    def limit(self, meter: Meter) -> Limit:
        """Of what may be used in a month; nothing while it is read-only."""
        limit = self.plan.limit(meter)
        return Limit(soft=limit.soft, hard=Decimal(0)) if self.access is Access.READ_ONLY else limit

    def has(self, feature: Feature) -> bool:
        return feature in self.plan.features and self.access is not Access.READ_ONLY

    def told(self, since: datetime) -> Told:
        return Told(
            plan_key=self.plan.key,
            plan_version=self.plan.version,
            access=self.access,
            reason=self.reason,
            plan_since=since,
        )


def entitle(account: Account, terms: Terms, now: datetime) -> Entitlement:
    """The one place that says what a tenant may do. Who pays for a price that no plan has is denied nothing: the
    operator's catalog is at fault."""
    comp = account.comp
    if comp is not None and (comp.until is None or now < comp.until):
        plan = terms.catalog.get(comp.plan_key, comp.plan_version) or terms.catalog.newest(comp.plan_key)
        if plan is not None:
            return Entitlement(plan=plan, access=Access.FULL, reason="comp", until=comp.until)
    subscription = account.subscription
    if subscription is None or subscription.status is SubscriptionStatus.INCOMPLETE or _left(account):
        return Entitlement(plan=terms.base_plan, access=Access.FULL, reason="none")
    bought = terms.catalog.of_price(subscription.price_id)
    plan = bought[0] if bought is not None else Plan(key="unknown", version=1, title="Unknown")
    access, until = _access(subscription, terms.grace, now)
    reason = subscription.status.value if bought is not None or access is Access.READ_ONLY else "unknown_price"
    return Entitlement(plan=plan, access=access, reason=reason, until=until)


def _left(account: Account) -> bool:
    """Whether the tenant chose to do without what ended."""
    subscription, since = account.subscription, account.without_since
    return (
        subscription is not None
        and subscription.status in ENDED
        and since is not None
        and subscription.created_at <= since
    )


def _access(subscription: Subscription, grace: timedelta, now: datetime) -> tuple[Access, datetime | None]:
    match subscription.status:
        case SubscriptionStatus.ACTIVE:
            return Access.FULL, None
        case SubscriptionStatus.TRIALING:
            return Access.FULL, subscription.trial_end
        case SubscriptionStatus.PAST_DUE:
            ends = (subscription.past_due_since or subscription.period_start) + grace
            return (Access.GRACE, ends) if now < ends else (Access.READ_ONLY, None)
        case _:
            return Access.READ_ONLY, None


def pick(subscriptions: Sequence[Subscription]) -> Subscription | None:
    """The one that counts of a customer's: the one that allows most, of equals the newest."""
    best = sorted(subscriptions, key=lambda one: (-_BEST_FIRST.index(one.status), one.created_at, one.id))
    return best[-1] if best else None


def changes_at(account: Account, terms: Terms, now: datetime) -> datetime | None:
    """When what the tenant may do changes next without anybody's doing."""
    until = entitle(account, terms, now).until
    return until if until is not None and until > now else None


def check_return_url(url: str, origins: Sequence[str]) -> str:
    """The URL to which a provider sends people back. Raises `Invalid` unless it lies at one of these origins (such as
    https://sortation.example)."""
    parts = urlsplit(url) if len(url) <= MAX_RETURN_URL else None
    written = url.isascii() and url.isprintable() and not set(url) & set(" \\<>\"'")
    if parts is None or not written or parts.username is not None or f"{parts.scheme}://{parts.netloc}" not in origins:
        raise Invalid(f"a return URL begins with {' or '.join(origins)}")
    return url


def check_reason(reason: str) -> str:
    """Without spaces around it. Raises `Invalid`."""
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
        raise Invalid(f"a reason has 1 to {MAX_REASON} characters and no line breaks")
    return reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """A bill; amounts in `currency` (ISO 4217). `url` is where the provider shows it, to who has the link."""

    id: str
    number: str | None
    status: str
    currency: str
    total: Decimal
    due: Decimal
    created_at: datetime
    period_start: datetime
    period_end: datetime
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEvent:
    """What a provider tells of its own accord: that something happened to a customer. What is so now, is asked for.
    `known` is whether its type can change what a tenant may do."""

    provider: str
    id: str
    type: str
    customer_id: str | None
    known: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """Usage that is reported to the provider: `quantity` more of what it counts as `name`. `id` is the same however
    often it is sent."""

    id: UUID
    customer_id: str
    name: str
    quantity: Decimal
    at: datetime


class Purpose(StrEnum):
    """What a customer goes to the provider's pages for."""

    MANAGE = "manage"
    PAYMENT_METHOD = "payment_method"
    CANCEL = "cancel"


_TIMES = ("created_at", "period_start", "period_end", "trial_end", "cancel_at", "past_due_since")


def subscription_json(subscription: Subscription) -> dict[str, Any]:
    """As it is stored."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name in Subscription.__slots__
        if (value := getattr(subscription, name)) is not None
    }


def subscription_from(stored: Mapping[str, Any]) -> Subscription:
    times = {name: datetime.fromisoformat(stored[name]) for name in _TIMES if name in stored}
    return Subscription(**{**stored, **times, "status": SubscriptionStatus(stored["status"])})
