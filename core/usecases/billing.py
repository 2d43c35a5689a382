"""What people do about payments: order a plan, look after it, see what they used and were billed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.domain.billing import (
    ENDED,
    Account,
    Entitlement,
    Invoice,
    Purpose,
    SubscriptionStatus,
    Terms,
    check_return_url,
    entitle,
)
from core.domain.events import EventType, NewEvent
from core.domain.llm_spending import LlmMonth, month_of
from core.domain.permissions import Role
from core.domain.plans import Interval, Meter, Plan
from core.domain.tenants import Actor
from core.domain.usage import Usage, forecast
from core.errors import Conflict, Invalid
from core.usecases.shared.limits import seats_taken, sources_of
from core.usecases.shared.paying import customer_of, provider_key
from core.usecases.shared.settling import settle
from ports.clock import Clock, Ids
from ports.payments import HostedPage, NewCustomer, Order, Payments
from ports.storage import Transaction, UnitOfWork

_REPLACEABLE = frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING, SubscriptionStatus.PAST_DUE})
"""What another plan takes the place of; of what is not paid any more, the missing payment comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingState:
    """What a tenant may do and why, what of it is used, and how many records are held."""

    account: Account
    entitlement: Entitlement
    provider: str
    usages: Sequence[Usage]
    connections: int
    seats: int
    held: int


def show_billing(actor: Actor, *, terms: Terms, payments: Payments, uow: UnitOfWork, clock: Clock) -> BillingState:
    with uow.begin(actor) as tx:
        account = tx.billing.get()
        entitlement = entitle(account, terms, clock.now())
        return BillingState(
            account=account,
            entitlement=entitlement,
            provider=payments.name,
            usages=_usages(tx, entitlement, clock),
            connections=len(sources_of(tx)),
            seats=seats_taken(tx, clock.now()),
            held=tx.held.count(),
        )


def list_plans(*, terms: Terms, payments: Payments) -> Sequence[tuple[Plan, Sequence[Interval]]]:
    """What is offered, with how it may be paid for; the plan of who does not pay can be ordered, too."""
    return [
        (plan, tuple(plan.prices.get(payments.prices, {})))
        for plan in terms.catalog.offered()
        if plan.key == terms.base or plan.prices.get(payments.prices)
    ]


def order_plan(
    actor: Actor,
    *,
    plan: str,
    interval: Interval,
    success_url: str,
    cancel_url: str,
    terms: Terms,
    payments: Payments,
    origins: Sequence[str],
    max_attempts: int,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> HostedPage:
    """Where the order of a plan is confirmed and paid; in the place of the one that the tenant has, if that still runs.
    The plan of who does not pay is taken at once, where no subscription runs.

    Raises `Invalid` for a plan that is not offered and a return URL elsewhere, `Conflict` where a payment is missing,
    `PaymentsUnavailable` or `PaymentsRefused`.
    """
    urls = [check_return_url(url, origins) for url in (success_url, cancel_url)]
    wanted = next((one for one in terms.catalog.offered() if one.key == plan), None)
    if wanted is None:
        raise Invalid(f"{plan!r} is no plan that is offered")
    if wanted.key == terms.base:
        return _do_without(actor, terms, max_attempts, uow=uow, clock=clock, ids=ids)
    if interval not in wanted.prices.get(payments.prices, {}):
        raise Invalid(f"the plan {plan} is not sold by the {interval}")
    account = _customer(
        replace(actor, idempotency=None), terms, max_attempts, payments=payments, uow=uow, clock=clock, ids=ids
    )
    running = account.subscription
    if running is not None and running.status in (SubscriptionStatus.UNPAID, SubscriptionStatus.PAUSED):
        raise Conflict("a payment is missing: make it first, at the payment method of the portal")
    replaced = running.id if running is not None and running.status in _REPLACEABLE else None
    assert account.customer_id is not None  # noqa: S101 - narrows the type
    page = payments.order(
        Order(
            tenant_id=actor.tenant_id,
            customer_id=account.customer_id,
            plan=wanted,
            interval=interval,
            subscription_id=replaced,
            trial_days=wanted.trial_days if running is None else 0,
            success_url=urls[0],
            cancel_url=urls[1],
            key=_key(actor, wanted, interval, *urls),
        )
    )
    with uow.begin(actor) as tx:
        payload = {"plan": wanted.key, "version": wanted.version, "interval": interval.value}
        tx.events.append([NewEvent(type=EventType.ORDER_BEGUN, payload=payload)])
        tx.commit()
    return page


def open_portal(
    actor: Actor,
    *,
    purpose: Purpose,
    return_url: str,
    payments: Payments,
    origins: Sequence[str],
    uow: UnitOfWork,
) -> HostedPage:
    """Where the tenant looks after its payments. Raises `Conflict` where it has none, `Invalid` for a return URL
    elsewhere, `PaymentsUnavailable` or `PaymentsRefused`."""
    check_return_url(return_url, origins)
    with uow.begin(actor) as tx:
        account = tx.billing.get()
    customer, subscription = customer_of(account, payments), account.subscription
    if customer is None:
        raise Conflict("nothing was ordered yet")
    running = subscription if subscription is not None and subscription.status not in ENDED else None
    if purpose is Purpose.CANCEL and running is None:
        raise Conflict("there is no subscription to cancel")
    return payments.portal(customer, purpose, None if running is None else running.id, return_url)


def list_invoices(actor: Actor, *, limit: int, payments: Payments, uow: UnitOfWork) -> Sequence[Invoice]:
    """The latest, newest first. Raises `PaymentsUnavailable` or `PaymentsRefused`."""
    with uow.begin(actor) as tx:
        customer = customer_of(tx.billing.get(), payments)
    return [] if customer is None else payments.invoices(customer, limit)


def _do_without(
    actor: Actor, terms: Terms, max_attempts: int, *, uow: UnitOfWork, clock: Clock, ids: Ids
) -> HostedPage:
    with uow.begin(actor) as tx:
        account = tx.billing.get(lock=True)
        if account.subscription is not None and account.subscription.status not in ENDED:
            raise Conflict("a subscription runs: cancel it at the portal, and take this plan when it has ended")
        settle(tx, replace(account, without_since=clock.now()), terms, max_attempts, clock=clock, ids=ids)
        tx.commit()
    return HostedPage(url=None, words="This plan is yours now.")


def _customer(
    actor: Actor, terms: Terms, max_attempts: int, *, payments: Payments, uow: UnitOfWork, clock: Clock, ids: Ids
) -> Account:
    """The account with its customer, who is made if there is none. Locked meanwhile, so that it is made once. What the
    customer has is not known yet, and asked for soon."""
    with uow.begin(actor) as tx:
        account = tx.billing.get()
        if customer_of(account, payments) is not None:
            return account
        account = tx.billing.get(lock=True)
        if customer_of(account, payments) is not None:
            return account
        owners = [user for user, membership in tx.members.list() if membership.role is Role.OWNER]
        new = NewCustomer(
            tenant_id=actor.tenant_id,
            name=tx.tenants.get().name,
            email=owners[0].email if owners else None,
        )
        account = replace(
            account,
            provider=provider_key(payments),
            customer_id=payments.create_customer(new),
            subscription=None,
            fetched_at=None,
        )
        account = settle(tx, account, terms, max_attempts, clock=clock, ids=ids)
        tx.commit()
    return account


def _usages(tx: Transaction, entitlement: Entitlement, clock: Clock) -> Sequence[Usage]:
    now, month = clock.now(), month_of(clock.now())
    counted = {meter: Decimal(used) for meter, _, used in tx.usages.since(month)}
    spent: Sequence[LlmMonth] = tx.llm_usages.since(month)
    used = {
        Meter.RECORDS: counted.get(Meter.RECORDS, Decimal(0)),
        Meter.LLM_SPEND: spent[0].spend.cost if spent else Decimal(0),
    }
    return [
        Usage(
            meter=meter,
            month=month,
            used=used[meter],
            limit=entitlement.limit(meter),
            forecast=forecast(used[meter], month, now),
        )
        for meter in Meter
    ]


def _key(actor: Actor, plan: Plan, interval: Interval, *urls: str) -> str:
    """The same for an order that is sent again with the same Idempotency-Key, and for no other."""
    again = actor.idempotency.key if actor.idempotency is not None else actor.request_id
    parts = (str(actor.tenant_id), again or "", plan.key, str(plan.version), interval.value, *urls)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()
