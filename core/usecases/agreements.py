"""What who runs the installation does about plans that are paid by invoice: see what was agreed, note what was paid,
and end what nobody else ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.domain.agreements import Agreement, canceled, paid, subscription_at
from core.domain.billing import ENDED, Subscription, SubscriptionStatus, Terms, check_reason
from core.domain.events import EventType, NewEvent
from core.domain.plans import BY_HAND, Interval, Plan
from core.domain.tenants import Actor
from core.errors import Conflict, NotFound
from core.usecases.shared.paying import queue_sync
from ports.agreements import Agreements
from ports.clock import Clock, Ids
from ports.payments import Payments
from ports.storage import UnitOfWork

_UNPAID = frozenset({SubscriptionStatus.INCOMPLETE, SubscriptionStatus.PAST_DUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """An agreement, what it is now (None: nothing, as it was taken back), and what its price buys, if that is known."""

    agreement: Agreement
    subscription: Subscription | None
    bought: tuple[Plan, Interval] | None

    @property
    def waits(self) -> bool:
        """Whether a payment is missing."""
        return self.subscription is not None and self.subscription.status in _UNPAID


def list_agreements(*, agreements: Agreements, terms: Terms, clock: Clock) -> Sequence[Agreed]:
    """Those of all tenants, by the time of their order."""
    now = clock.now()
    return [
        Agreed(
            agreement=one,
            subscription=subscription_at(one, now),
            bought=terms.catalog.of_price(one.price_id),
        )
        for one in agreements.list()
    ]


def note_payment(
    actor: Actor,
    *,
    until: date,
    number: str,
    total: Decimal,
    currency: str,
    payments: Payments,
    agreements: Agreements,
    max_attempts: int,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Agreement:
    """Notes an invoice that is paid, for the days to `until`, that one included (UTC), and queues a job that asks what
    the tenant may do for that. The account is locked meanwhile, so that no other payment is noted in between.

    Raises `Invalid`, `NotFound`, or `Conflict` as `core.domain.agreements.paid` does, and where a provider takes the
    payments.
    """
    with uow.begin(actor) as tx:
        tx.tenants.get()
        tx.billing.get(lock=True)
        agreement = paid(
            _agreement(actor, payments, agreements),
            until=until,
            number=number,
            total=total,
            currency=currency,
            now=clock.now(),
        )
        agreements.put(agreement)
        told = {"number": number.strip(), "until": until.isoformat(), "total": f"{total:f}", "currency": currency}
        tx.events.append([NewEvent(type=EventType.PAYMENT_NOTED, payload=told)])
        queue_sync(tx, "paid", actor.request_id, max_attempts, ids=ids)
        tx.commit()
    return agreement


def end_agreement(
    actor: Actor,
    *,
    reason: str,
    payments: Payments,
    agreements: Agreements,
    max_attempts: int,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> datetime | None:
    """Ends an agreement with what is paid, or tried; at once where neither runs. Returns when that is; None for an
    order that waited for its payment. Raises `Invalid`, `NotFound`, or `Conflict` where a provider takes the payments
    and for an agreement that has ended."""
    reason, now = check_reason(reason), clock.now()
    with uow.begin(actor) as tx:
        tx.tenants.get()
        tx.billing.get(lock=True)
        agreement = _agreement(actor, payments, agreements)
        present = subscription_at(agreement, now)
        if present is None or present.status in ENDED:
            raise Conflict("this agreement has ended already")
        agreement = canceled(agreement, now)
        agreements.put(agreement)
        ends = None if agreement.runs_until is None else agreement.ends_at
        told = {"until": ends and ends.isoformat(), "reason": reason}
        tx.events.append([NewEvent(type=EventType.AGREEMENT_ENDED, payload=told)])
        queue_sync(tx, "ended", actor.request_id, max_attempts, ids=ids)
        tx.commit()
    return ends


def _agreement(actor: Actor, payments: Payments, agreements: Agreements) -> Agreement:
    if payments.prices != BY_HAND:
        raise Conflict(f"payments are taken by {payments.name}: nothing is agreed by hand here")
    agreement = agreements.get(actor.tenant_id)
    if agreement is None:
        raise NotFound("this tenant has ordered nothing")
    return agreement
