"""A provider of payments that lives in memory: subscriptions go through their life, with an event at each change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from core.domain.billing import ENDED, Subscription, SubscriptionStatus
from core.domain.payments import Invoice, MeterReading, PaymentEvent, Purpose
from core.errors import Invalid, PaymentsUnavailable, WebhookRefused
from ports.clock import Clock
from ports.payments import HostedPage, NewCustomer, Order

TRIAL = timedelta(days=14)
PERIOD = timedelta(days=30)
_S = SubscriptionStatus
CHANGES: Mapping[str, tuple[frozenset[SubscriptionStatus], SubscriptionStatus]] = {
    "paid": (frozenset({_S.TRIALING, _S.ACTIVE, _S.PAST_DUE, _S.UNPAID, _S.INCOMPLETE}), _S.ACTIVE),
    "failed": (frozenset({_S.TRIALING, _S.ACTIVE}), _S.PAST_DUE),
    "given up": (frozenset({_S.PAST_DUE}), _S.UNPAID),
    "paused": (frozenset({_S.TRIALING, _S.ACTIVE}), _S.PAUSED),
    "resumed": (frozenset({_S.PAUSED}), _S.ACTIVE),
    "expired": (frozenset({_S.INCOMPLETE}), _S.INCOMPLETE_EXPIRED),
    "ended": (frozenset(_S) - ENDED - {_S.INCOMPLETE}, _S.CANCELED),
}
"""What may become of a subscription, and of which."""
BEGUN = {"created": _S.ACTIVE, "tried": _S.TRIALING, "ordered": _S.INCOMPLETE}
"""How a subscription begins."""


@dataclass(kw_only=True)
class PaperPayments:
    """One customer a tenant at a time. `told` are the events of all changes, the oldest first, whether they arrive or
    not.

    `unavailable` answers fail, one each time. `asked` is called in the middle of an answer, which is as it was before.
    `reports` are the readings that were taken, by their ids; `untaken` are kept back, one each time.
    """

    clock: Clock
    name: str = "paper"
    prices: str = "test"
    customers: dict[UUID, int] = field(default_factory=dict)
    kept: dict[str, dict[str, Subscription]] = field(default_factory=dict)
    told: list[PaymentEvent] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    unavailable: int = 0
    answers: int = 0
    asked: Callable[[], None] = lambda: None
    reports: dict[UUID, MeterReading] = field(default_factory=dict)
    sent: list[MeterReading] = field(default_factory=list)
    untaken: int = 0

    def create_customer(self, customer: NewCustomer) -> str:
        if self.customer_of(customer.tenant_id) not in self.kept:
            self.customers[customer.tenant_id] = self.customers.get(customer.tenant_id, 0) + 1
            self.kept[self.customer_of(customer.tenant_id)] = {}
        return self.customer_of(customer.tenant_id)

    def customer_of(self, tenant_id: UUID) -> str:
        """The tenant's latest."""
        return f"cus_{tenant_id}_{self.customers.get(tenant_id, 0)}"

    def order(self, order: Order) -> HostedPage:
        self.orders.append(order)
        return HostedPage(url=f"https://pay.example/{len(self.orders)}")

    def portal(self, customer_id: str, purpose: Purpose, subscription_id: str | None, return_url: str) -> HostedPage:
        return HostedPage(url=f"https://pay.example/{purpose}?of={subscription_id}")

    def subscriptions(self, customer_id: str) -> Sequence[Subscription] | None:
        if self.unavailable:
            self.unavailable -= 1
            raise PaymentsUnavailable
        kept = self.kept.get(customer_id)
        answer = None if kept is None else list(kept.values())
        self.answers += 1
        asked, self.asked = self.asked, lambda: None
        asked()
        return answer

    def invoices(self, customer_id: str, limit: int) -> Sequence[Invoice]:
        return []

    def read_event(self, body: bytes, headers: Mapping[str, str], now: datetime) -> PaymentEvent:
        found = next((event for event in self.told if event.id == json.loads(body)["id"]), None)
        if found is None:
            raise WebhookRefused
        return found

    def report(self, readings: Sequence[MeterReading]) -> Sequence[UUID]:
        taken = []
        for reading in readings:
            self.sent.append(reading)
            if self.untaken:
                self.untaken -= 1
                continue
            if self.reports.setdefault(reading.id, reading) != reading:
                raise Invalid(f"{reading.id} was something else before")
            taken.append(reading.id)
        if readings and not taken:
            raise PaymentsUnavailable
        return taken

    def begin(self, customer_id: str, how: str, price_id: str) -> None:
        """Another subscription, of those that a customer may have; nothing of one who is gone."""
        if customer_id not in self.kept:
            return
        now, status = self.clock.now(), BEGUN[how]
        made = Subscription(
            id=f"sub_{customer_id}_{len(self.kept[customer_id])}",
            status=status,
            price_id=price_id,
            created_at=now,
            period_start=now,
            period_end=now + (TRIAL if status is _S.TRIALING else PERIOD),
            trial_end=now + TRIAL if status is _S.TRIALING else None,
        )
        self._keep(customer_id, made, how)

    def change(self, customer_id: str, what: str) -> bool:
        """Changes the newest subscription for which that is possible; whether there is one."""
        before, after = CHANGES[what]
        found = self._newest(customer_id, before)
        if found is None:
            return False
        now = self.clock.now()
        changed = replace(found, status=after, past_due_since=now if after is _S.PAST_DUE else None)
        if what == "paid":
            changed = replace(changed, trial_end=None, period_start=now, period_end=now + PERIOD)
        self._keep(customer_id, changed, what)
        return True

    def cancel(self, customer_id: str) -> bool:
        """The newest that runs is not renewed; whether there is one."""
        found = self._newest(customer_id, frozenset({_S.TRIALING, _S.ACTIVE, _S.PAST_DUE}))
        if found is not None:
            self._keep(customer_id, replace(found, cancel_at=found.period_end), "canceled")
        return found is not None

    def change_plan(self, customer_id: str, price_id: str) -> bool:
        found = self._newest(customer_id, frozenset({_S.TRIALING, _S.ACTIVE, _S.PAST_DUE}))
        if found is not None:
            self._keep(customer_id, replace(found, price_id=price_id), "updated")
        return found is not None

    def delete(self, customer_id: str) -> None:
        """The customer is gone with all that they had."""
        if self.kept.pop(customer_id, None) is not None:
            self._tell(customer_id, "deleted")

    def _newest(self, customer_id: str, statuses: frozenset[SubscriptionStatus]) -> Subscription | None:
        found = [one for one in self.kept.get(customer_id, {}).values() if one.status in statuses]
        return found[-1] if found else None

    def _keep(self, customer_id: str, subscription: Subscription, what: str) -> None:
        self.kept[customer_id][subscription.id] = subscription
        self._tell(customer_id, what)

    def _tell(self, customer_id: str, what: str) -> None:
        event = PaymentEvent(
            provider=self.name,
            id=f"evt_{customer_id}_{len(self.told)}",
            type=f"subscription.{what}",
            customer_id=customer_id,
            known=True,
            created_at=self.clock.now(),
        )
        self.told.append(event)
