"""Billing: what a provider says of a tenant's subscription, and what the tenant may do now for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from core.domain.plans import Catalog, Feature, Limit, Meter, Plan
from core.errors import Invalid

MAX_REASON = 200
PLAN_SETTLES = timedelta(days=30)
"""How long a tenant has a plan before records go that it does not keep: time to change one's mind, or to export."""


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
RUNNING = frozenset({SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE})
"""What another plan takes the place of; of what is not paid any more, the missing payment comes first."""
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
class Account:
    """What is known of a tenant's payments. `provider` is whose customer it is; `subscription` is the provider's, as it
    was at `fetched_at`. `without_since`: from when on the tenant does without one, by its own wish; one that had ended
    by then is history. `told` is what its people were told last of what it may do. `resumes_at` is when records that
    are held are looked at next; None: none is."""

    tenant_id: UUID
    provider: str | None = None
    customer_id: str | None = None
    subscription: Subscription | None = None
    comp: Comp | None = None
    without_since: datetime | None = None
    fetched_at: datetime | None = None
    told: Told | None = None
    resumes_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an installation offers. `base` is the key of the plan of who has no subscription; `grace` is how long a
    missing payment is waited for. `mails`: whether owners are written when what they may do changes."""

    catalog: Catalog
    base: str
    grace: timedelta
    mails: bool = False

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
            ends = _waited_for_until(subscription, grace)
            return (Access.GRACE, ends) if now < ends else (Access.READ_ONLY, None)
        case _:
            return Access.READ_ONLY, None


def _waited_for_until(subscription: Subscription, grace: timedelta) -> datetime:
    return (subscription.past_due_since or subscription.period_start) + grace


def read_only_since(account: Account, terms: Terms, now: datetime) -> datetime | None:
    """Of a tenant that is read-only: from when on, where its subscription tells that."""
    subscription, since = account.subscription, None
    if subscription is not None and subscription.status is SubscriptionStatus.PAST_DUE:
        since = _waited_for_until(subscription, terms.grace)
    elif subscription is not None and subscription.status is SubscriptionStatus.CANCELED:
        since = subscription.cancel_at  # None for what was ended at once
    return since if since is not None and since <= now else None


def pick(subscriptions: Sequence[Subscription]) -> Subscription | None:
    """The one that counts of a customer's: of those whose first payment is decided the one that allows most, of equals
    the newest."""
    best = sorted(subscriptions, key=lambda one: (-_BEST_FIRST.index(one.status), one.created_at, one.id))
    return best[-1] if best else None


def changes_at(account: Account, terms: Terms, now: datetime) -> datetime | None:
    """When what the tenant may do changes next without anybody's doing."""
    until = entitle(account, terms, now).until
    return until if until is not None and until > now else None


def kept_days(account: Account, terms: Terms, wanted: int | None, now: datetime) -> int | None:
    """How many days records are kept: as many as the tenant wants, or as its plan keeps them where that is less; None
    is for ever. A plan's days count where the tenant has had it for `PLAN_SETTLES`, and not while a payment is missing:
    then nothing goes but what the tenant itself wants to go."""
    entitlement, told = entitle(account, terms, now), account.told
    plan, by_plan = entitlement.plan, None
    if entitlement.access is Access.FULL and told is not None and now - told.plan_since >= PLAN_SETTLES:
        by_plan = plan.retention_days if (told.plan_key, told.plan_version) == (plan.key, plan.version) else None
    return min((days for days in (wanted, by_plan) if days is not None), default=None)


def check_reason(reason: str) -> str:
    """Without spaces around it. Raises `Invalid`."""
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
        raise Invalid(f"a reason has 1 to {MAX_REASON} characters and no line breaks")
    return reason
