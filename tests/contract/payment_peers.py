"""Each provider of payments with its adapter, and what people and time do there, which is the same for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from adapters.manual.payments import ManualPayments
from adapters.memory.agreements import MemoryAgreements
from adapters.memory.clock import CountingIds, FixedClock
from adapters.memory.state import MemoryStore
from adapters.stripe.payments import StripePayments
from core.domain.agreements import Agreement, paid
from core.domain.plans import Interval, catalog_from
from ports.payments import HostedPage, Order, Payments
from tests.stubs.stripe_billing_server import SIGNED_BY, StripeBillingServer
from tests.stubs.stripe_server import KEY

TENANT = UUID(int=0x11)
BACK = "https://sortation.example/billing"
COUNTED_AS = "sortation_records"
MONTHLY, YEARLY, BUSINESS = "price_team_month", "price_team_year", "price_business_month"
CATALOG = catalog_from(
    [
        {"key": "team", "title": "Team", "prices": {"test": {"month": MONTHLY, "year": YEARLY}}, "trial_days": 14},
        {"key": "business", "title": "Business", "prices": {"test": {"month": BUSINESS}}},
    ]
)
TEAM, LARGER = (plan for plan in CATALOG.plans if "test" in plan.prices)


def an_order(customer: str, **fields: Any) -> Order:
    """Of the plan `TEAM` by the month, unless the fields say otherwise."""
    order = Order(
        tenant_id=TENANT,
        customer_id=customer,
        plan=TEAM,
        interval=Interval.MONTH,
        subscription_id=None,
        trial_days=0,
        success_url=f"{BACK}?done",
        cancel_url=BACK,
        key="order-1",
    )
    return replace(order, **fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """`hosted`: it has pages to send people to; `tells`: it has webhooks; `counts`: it keeps usage that is reported."""

    hosted: bool
    tells: bool
    counts: bool


class Peer(ABC):
    payments: Payments
    abilities: Abilities

    @property
    @abstractmethod
    def now(self) -> datetime: ...

    @abstractmethod
    def settle(self, page: HostedPage, customer_id: str) -> None:
        """Somebody does what the page, or the words, ask for: at once, and pays what is due then."""

    @abstractmethod
    def period_ends(self, customer_id: str, *, pays: bool) -> None:
        """Time comes to the end of the present period; what is due then is paid, or not."""

    @abstractmethod
    def pay(self, customer_id: str) -> None:
        """All that is due."""

    @abstractmethod
    def delivery(self) -> tuple[bytes, dict[str, str]]:
        """What it told last, as it comes by webhook."""

    @abstractmethod
    def counted(self) -> Decimal:
        """The usage that it has of all."""


class StripePeer(Peer):
    abilities = Abilities(hosted=True, tells=True, counts=True)

    def __init__(self, server: StripeBillingServer) -> None:
        self.server = server
        for price_id, amount, interval in (
            (MONTHLY, 2_900, "month"),
            (YEARLY, 29_000, "year"),
            (BUSINESS, 9_900, "month"),
        ):
            server.add_price(price_id, amount=amount, interval=interval)
        server.meters.add(COUNTED_AS)
        self.payments = StripePayments(KEY, SIGNED_BY, base_url=server.url)

    @property
    def now(self) -> datetime:
        return self.server.now

    def settle(self, page: HostedPage, customer_id: str) -> None:
        assert page.url is not None
        self.server.complete(page.url)

    def period_ends(self, customer_id: str, *, pays: bool) -> None:
        self.server.renew(self._latest(customer_id), pays=pays)

    def pay(self, customer_id: str) -> None:
        self.server.pay(self._latest(customer_id))

    def _latest(self, customer_id: str) -> str:
        return [id for id, one in self.server.subscriptions.items() if one["customer"] == customer_id][-1]

    def delivery(self) -> tuple[bytes, dict[str, str]]:
        sent = self.server.signed(self.server.events[-1])
        return sent.body, sent.headers

    def counted(self) -> Decimal:
        return sum((Decimal(one["payload"]["value"]) for one in self.server.meter_events.values()), Decimal(0))


class ManualPeer(Peer):
    abilities = Abilities(hosted=False, tells=False, counts=False)

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.agreements = MemoryAgreements(MemoryStore(self.clock, CountingIds()))
        self.payments = ManualPayments(self.agreements, self.clock)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def settle(self, page: HostedPage, customer_id: str) -> None:
        assert page.words
        if self._agreement(customer_id).runs_until is None:
            self.pay(customer_id)

    def period_ends(self, customer_id: str, *, pays: bool) -> None:
        (present,) = self.payments.subscriptions(customer_id) or ()
        self.clock.set(present.period_end)
        if pays:
            self.pay(customer_id)

    def pay(self, customer_id: str) -> None:
        agreement = self._agreement(customer_id)
        invoice = paid(
            agreement,
            until=(self.now + timedelta(days=30)).date(),
            number=f"2026-{len(agreement.invoices) + 1:03d}",
            total=Decimal("29.00"),
            currency="EUR",
            now=self.now,
        )
        self.agreements.put(invoice)

    def _agreement(self, customer_id: str) -> Agreement:
        agreement = self.agreements.get(UUID(customer_id))
        assert agreement is not None
        return agreement

    def delivery(self) -> tuple[bytes, dict[str, str]]:
        raise AssertionError("it tells nothing")

    def counted(self) -> Decimal:
        raise AssertionError("it keeps nothing")


@contextmanager
def peer_of(name: str) -> Iterator[Peer]:
    if name == "manual":
        yield ManualPeer()
        return
    with StripeBillingServer() as server:
        yield StripePeer(server)
