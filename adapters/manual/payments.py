"""Payments by invoices that people write: what is ordered is noted, and the operator notes what was paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NoReturn
from uuid import UUID

from core.domain.agreements import Agreement, canceled, ordered, subscription_at
from core.domain.billing import ENDED, Subscription, SubscriptionStatus
from core.domain.payments import Invoice, MeterReading, Purpose
from core.domain.plans import BY_HAND
from core.errors import Invalid, WebhookRefused
from ports.agreements import Agreements
from ports.clock import Clock
from ports.payments import HostedPage, NewCustomer, Order

_ORDERED = "Your order is noted. You get an invoice, and the plan begins when it is paid."
_TRIED = "Your order is noted. The plan may be tried until {day}, and you get an invoice before that."
_CHANGED = "Your plan is changed. What it costs more or less until {day} comes with the next invoice."
_UNPAID = "Your plan is changed. It is paid by invoice, and an invoice is open."
_ASK = "Your plan is paid by invoice: for all else write to where your invoices come from."
_ENDS = "Your plan ends on {day}, and is not renewed."
_TAKEN_BACK = "Your order is taken back."


class ManualPayments:
    """Customers are the tenants themselves. What an agreement is, is for the clock to say."""

    name = BY_HAND
    prices = BY_HAND

    def __init__(self, agreements: Agreements, clock: Clock) -> None:
        self._agreements = agreements
        self._clock = clock

    def create_customer(self, customer: NewCustomer) -> str:
        return str(customer.tenant_id)

    def order(self, order: Order) -> HostedPage:
        price_id = order.plan.prices.get(BY_HAND, {}).get(order.interval)
        if price_id is None:
            raise Invalid(f"the plan {order.plan.key} is not sold by the {order.interval}")
        now = self._clock.now()
        agreement = ordered(
            self._agreements.get(order.tenant_id),
            tenant_id=order.tenant_id,
            price_id=price_id,
            trial_days=order.trial_days,
            now=now,
        )
        self._agreements.put(agreement)
        return HostedPage(url=None, words=_words(agreement, now))

    def portal(self, customer_id: str, purpose: Purpose, subscription_id: str | None, return_url: str) -> HostedPage:
        del return_url
        if purpose is not Purpose.CANCEL:
            return HostedPage(url=None, words=_ASK)
        now = self._clock.now()
        agreement = self._agreement(customer_id)
        present = None if agreement is None else subscription_at(agreement, now)
        if agreement is None or present is None or present.status in ENDED or present.id != subscription_id:
            raise Invalid("there is no subscription that could be canceled")
        agreement = canceled(agreement, now)
        self._agreements.put(agreement)
        words = _TAKEN_BACK if agreement.runs_until is None else _ENDS.format(day=_day(agreement.ends_at))
        return HostedPage(url=None, words=words)

    def subscriptions(self, customer_id: str) -> Sequence[Subscription] | None:
        tenant_id = _tenant_of(customer_id)
        if tenant_id is None:
            return None
        agreement = self._agreements.get(tenant_id)
        present = None if agreement is None else subscription_at(agreement, self._clock.now())
        return [] if present is None else [present]

    def invoices(self, customer_id: str, limit: int) -> Sequence[Invoice]:
        agreement = self._agreement(customer_id)
        return [] if agreement is None else agreement.invoices[::-1][:limit]

    def read_event(self, body: bytes, headers: Mapping[str, str], now: datetime) -> NoReturn:
        del body, headers, now
        raise WebhookRefused("payments are noted by hand here: nobody tells of any")

    def report(self, readings: Sequence[MeterReading]) -> Sequence[UUID]:
        """Takes all: who writes the invoices sees what was used where it is counted."""
        return [reading.id for reading in readings]

    def _agreement(self, customer_id: str) -> Agreement | None:
        tenant_id = _tenant_of(customer_id)
        return None if tenant_id is None else self._agreements.get(tenant_id)


def _tenant_of(customer_id: str) -> UUID | None:
    """None for a customer of another provider's."""
    try:
        return UUID(customer_id)
    except ValueError:
        return None


def _words(agreement: Agreement, now: datetime) -> str:
    present = subscription_at(agreement, now)
    match present.status if present is not None else None:
        case SubscriptionStatus.TRIALING:
            return _TRIED.format(day=_day(agreement.trial_end))
        case SubscriptionStatus.ACTIVE:
            return _CHANGED.format(day=_day(agreement.paid_until))
        case SubscriptionStatus.PAST_DUE:
            return _UNPAID
        case _:
            return _ORDERED


def _day(moment: datetime | None) -> str:
    return "" if moment is None else moment.date().isoformat()
