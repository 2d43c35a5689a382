"""What people do about payments: order a plan, look after it, see what they used and were billed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from core.domain.billing import ENDED, RUNNING, Account, Entitlement, Subscription, SubscriptionStatus, Terms, entitle
from core.domain.billing_words import Fill, explain
from core.domain.events import EventType, NewEvent
from core.domain.llm_spending import month_of, months_before
from core.domain.payments import Invoice, Purpose, check_return_url
from core.domain.permissions import Role
from core.domain.plans import Interval, Limit, Meter, Plan
from core.domain.tenants import Actor
from core.domain.usage import Usage, forecast
from core.errors import Conflict, Invalid
from core.usecases.shared.limits import seats_taken, sources_of
from core.usecases.shared.paying import as_provider_has, customer_of, provider_key, queue_sync
from core.usecases.shared.settling import settle
from ports.clock import Clock, Ids
from ports.payments import HostedPage, NewCustomer, Order, Payments
from ports.storage import Transaction, UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingState:
    """What a tenant may do and why, also in `words`; what of it is used, and how many records are held. `bought` is
    what its subscription's price buys, if that is known here."""

    account: Account
    entitlement: Entitlement
    bought: tuple[Plan, Interval] | None
    provider: str
    usages: Sequence[Usage]
    connections: Fill
    seats: Fill
    held: int
    words: str


def show_billing(actor: Actor, *, terms: Terms, payments: Payments, uow: UnitOfWork, clock: Clock) -> BillingState:
    """Raises `NotFound`."""
    with uow.begin(actor) as tx:
        tx.tenants.get()
        account, now = tx.billing.get(), clock.now()
        entitlement, subscription = entitle(account, terms, now), account.subscription
        plan, usages, held = entitlement.plan, _usages(tx, entitlement, month_of(now), now), tx.held.count()
        connections = Fill(used=len(sources_of(tx)), limit=plan.connections)
        seats = Fill(used=seats_taken(tx, now), limit=plan.seats)
    return BillingState(
        account=account,
        entitlement=entitlement,
        bought=None if subscription is None else terms.catalog.of_price(subscription.price_id),
        provider=payments.name,
        usages=usages,
        connections=connections,
        seats=seats,
        held=held,
        words=explain(entitlement, subscription, usages, connections=connections, seats=seats, held=held),
    )


def show_usage(actor: Actor, *, months: int, terms: Terms, uow: UnitOfWork, clock: Clock) -> Sequence[Usage]:
    """What was used in the latest `months` months, this one first. Of those before, what was counted alone is told:
    which limits there were then is not kept."""
    now = clock.now()
    with uow.begin(actor) as tx:
        first = months_before(month_of(now), months - 1)
        return _usages(tx, entitle(tx.billing.get(), terms, now), first, now)


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
    The plan of who does not pay is taken at once, where no subscription runs. Where there is no page, the order is made
    by this, and a job that asks what became of it is queued.

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
    acting = replace(actor, idempotency=None)
    customer, running = _customer(acting, terms, payments, max_attempts, uow=uow, clock=clock, ids=ids)
    if running is not None and running.status in (SubscriptionStatus.UNPAID, SubscriptionStatus.PAUSED):
        raise Conflict("a payment is missing: make it first, at the payment method of the portal")
    replaced = running.id if running is not None and running.status in RUNNING else None
    with uow.begin(actor) as tx:
        tx.billing.get(lock=True)  # of what is agreed by hand, one change at a time
        page = payments.order(
            Order(
                tenant_id=actor.tenant_id,
                customer_id=customer,
                plan=wanted,
                interval=interval,
                subscription_id=replaced,
                trial_days=wanted.trial_days if running is None else 0,
                success_url=urls[0],
                cancel_url=urls[1],
                key=_key(actor, wanted, interval, *urls),
            )
        )
        payload = {"plan": wanted.key, "version": wanted.version, "interval": interval.value}
        tx.events.append([NewEvent(type=EventType.ORDER_BEGUN, payload=payload)])
        if page.url is None:
            queue_sync(tx, "ordered", actor.request_id, max_attempts, ids=ids)
        tx.commit()
    return page


def open_portal(
    actor: Actor,
    *,
    purpose: Purpose,
    return_url: str,
    payments: Payments,
    origins: Sequence[str],
    max_attempts: int,
    uow: UnitOfWork,
    ids: Ids,
) -> HostedPage:
    """Where the tenant looks after its payments. Where there is no page, what is to be canceled is canceled by this,
    and a job that asks what became of it is queued.

    Raises `Conflict` where the tenant has none, `Invalid` for a return URL elsewhere, `PaymentsUnavailable` or
    `PaymentsRefused`.
    """
    check_return_url(return_url, origins)
    with uow.begin(actor) as tx:
        account = tx.billing.get(lock=True)  # as above
        customer, subscription = customer_of(account, payments), account.subscription
        if customer is None:
            raise Conflict("nothing was ordered yet")
        running = subscription if subscription is not None and subscription.status not in ENDED else None
        if purpose is Purpose.CANCEL and running is None:
            raise Conflict("there is no subscription to cancel")
        page = payments.portal(customer, purpose, None if running is None else running.id, return_url)
        if page.url is None and purpose is Purpose.CANCEL:
            queue_sync(tx, "canceled", actor.request_id, max_attempts, ids=ids)
        tx.commit()
    return page


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
    actor: Actor, terms: Terms, payments: Payments, max_attempts: int, *, uow: UnitOfWork, clock: Clock, ids: Ids
) -> tuple[str, Subscription | None]:
    """The tenant's customer, who is made if there is none, and their subscription as it is now: who ordered one a
    moment ago, of which nothing was told yet, orders no second one. Locked meanwhile, so that a customer is made
    once."""
    with uow.begin(actor) as tx:
        account, _ = as_provider_has(tx.billing.get(lock=True), payments, clock)
        customer = customer_of(account, payments)
        if customer is None:
            owners = [user for user, membership in tx.members.list() if membership.role is Role.OWNER]
            email = owners[0].email if owners else None
            new = NewCustomer(tenant_id=actor.tenant_id, name=tx.tenants.get().name, email=email)
            customer = payments.create_customer(new)
            # What they have is not known: one that was made before, of which we lost the answer, may have something.
            account = replace(account, provider=provider_key(payments), customer_id=customer, fetched_at=None)
            settle(tx, account, terms, max_attempts, clock=clock, ids=ids)
            tx.commit()
    return customer, account.subscription


def _usages(tx: Transaction, entitlement: Entitlement, first: date, now: datetime) -> Sequence[Usage]:
    """From that month on, the latest first."""
    present = month_of(now)
    used = {(month, meter): Decimal(count) for meter, month, count in tx.usages.since(first)}
    used |= {(one.month, Meter.LLM_SPEND): one.spend.cost for one in tx.llm_usages.since(first)}
    used = {(present, meter): Decimal(0) for meter in Meter} | used
    order = list(Meter)
    return [
        Usage(
            meter=meter,
            month=month,
            used=used[month, meter],
            limit=entitlement.limit(meter) if month == present else Limit(),
            forecast=forecast(used[month, meter], month, now) if month == present else None,
        )
        for month, meter in sorted(used, key=lambda of: (-of[0].toordinal(), order.index(of[1])))
    ]


def _key(actor: Actor, plan: Plan, interval: Interval, *urls: str) -> str:
    """The same for an order that is sent again with the same Idempotency-Key, and for no other."""
    again = actor.idempotency.key if actor.idempotency is not None else actor.request_id
    parts = (str(actor.tenant_id), again or "", plan.key, str(plan.version), interval.value, *urls)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()
