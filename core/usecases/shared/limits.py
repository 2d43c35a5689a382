"""What a plan holds of things that stay: connections, seats, features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from core.domain.billing import Access, Entitlement, Terms, entitle
from core.domain.connections import UPLOADS, Connection
from core.domain.plans import Feature, Meter
from core.domain.tenants import Tenant
from core.errors import LimitReached
from ports.clock import Clock
from ports.storage import Transaction


def check_room_for_connection(tx: Transaction, terms: Terms, clock: Clock) -> None:
    """Raises `LimitReached`. Who adds one at the same time waits."""
    _check_room("connections", "connections", lambda: len(sources_of(tx)), tx, terms, clock)


def check_room_for_member(tx: Transaction, terms: Terms, clock: Clock) -> None:
    """Raises `LimitReached`. Who adds one at the same time waits."""
    _check_room("seats", "people", lambda: seats_taken(tx, clock.now()), tx, terms, clock)


def _check_room(limit: str, words: str, taken: Callable[[], int], tx: Transaction, terms: Terms, clock: Clock) -> None:
    """Where no plan limits it nobody waits."""
    if all(getattr(plan, limit) is None for plan in terms.catalog.plans):
        return
    plan = entitle(tx.billing.get(lock=True), terms, clock.now()).plan
    most = getattr(plan, limit)
    if most is not None and taken() >= most:
        holds = f"the plan {plan.title} holds {most} {words}"
        raise LimitReached(f"{holds}: see billing", holds=holds)


def check_feature(tx: Transaction, feature: Feature, terms: Terms, clock: Clock) -> None:
    """Raises `LimitReached`."""
    entitlement = entitle(tx.billing.get(), terms, clock.now())
    if not entitlement.has(feature):
        raise LimitReached(f"the plan {entitlement.plan.title} has no {feature.value}: see billing")


def llm_off(entitlement: Entitlement) -> str | None:
    """Why the LLM is not asked for a tenant, whatever that costs; None if it is."""
    if entitlement.access is Access.READ_ONLY:
        return "the tenant is read-only until its subscription is paid"
    return None if entitlement.has(Feature.LLM) else f"the plan {entitlement.plan.title} has no LLM"


def within_plan(tenant: Tenant, entitlement: Entitlement) -> Tenant:
    """The tenant, whose LLM may cost no more than its plan allows."""
    caps = (entitlement.limit(Meter.LLM_SPEND).hard, tenant.settings.llm_monthly_cap)
    return tenant.capped(min((cap for cap in caps if cap is not None), default=None))


def sources_of(tx: Transaction) -> Sequence[Connection]:
    """The connections that count: people made them, and they are not disabled."""
    return [one for one in tx.connections.list() if one.name != UPLOADS and one.disabled_at is None]


def seats_taken(tx: Transaction, now: datetime) -> int:
    """Members, and who may still accept an invitation."""
    return len(tx.members.list()) + sum(one.acceptable(now) for one in tx.invitations.list())
