"""Who takes the money: plans are ordered and paid at a provider's pages, and it is asked what became of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from core.domain.billing import Subscription
from core.domain.payments import Invoice, MeterReading, PaymentEvent, Purpose
from core.domain.plans import Interval, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCustomer:
    tenant_id: UUID
    name: str
    email: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A plan that a customer wants, in the place of `subscription_id` if it has one. Without one there are `trial_days`
    before the first payment. `key` is the same for the same order, however often it is sent."""

    tenant_id: UUID
    customer_id: str
    plan: Plan
    interval: Interval
    subscription_id: str | None
    trial_days: int
    success_url: str
    cancel_url: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedPage:
    """Where to send somebody's browser; None where there is no page and `words` tell what happens next."""

    url: str | None
    words: str = ""


class Payments(Protocol):
    """A provider. All raise `PaymentsUnavailable` for a passing fault, and `PaymentsRefused` for one that no retry
    cures, neither with a secret in it."""

    @property
    def name(self) -> str:
        """As accounts name it: a customer is one of a provider's."""
        ...

    @property
    def prices(self) -> str:
        """Which of a plan's prices are this provider's: the environment in `Plan.prices`."""
        ...

    def create_customer(self, customer: NewCustomer) -> str:
        """The id of the tenant's customer; the same for the same tenant, also if it is asked for twice at once."""
        ...

    def order(self, order: Order) -> HostedPage:
        """Where the order is confirmed and paid. Another plan in the place of a subscription is charged or credited for
        the days that are left. Raises `Invalid` for a plan that has no price here."""
        ...

    def portal(self, customer_id: str, purpose: Purpose, subscription_id: str | None, return_url: str) -> HostedPage:
        """Where a customer looks after payments; what is canceled there ends with the period that is paid. Raises
        `Invalid` for canceling without a subscription."""
        ...

    def subscriptions(self, customer_id: str) -> Sequence[Subscription] | None:
        """All of the customer's, as they are now, ended ones too; None for a customer who is gone."""
        ...

    def invoices(self, customer_id: str, limit: int) -> Sequence[Invoice]:
        """The latest, newest first; drafts are not among them."""
        ...

    def read_event(self, body: bytes, headers: Mapping[str, str], now: datetime) -> PaymentEvent:
        """What a provider's webhook tells; names of `headers` are in lower case. Raises `WebhookRefused` unless it is
        signed by one of our secrets, and lately."""
        ...

    def report(self, readings: Sequence[MeterReading]) -> Sequence[UUID]:
        """Reports usage, and returns the ids of what was taken, now or before. A reading that is sent again within a
        day is counted once. Where a fault keeps some back, these alone are missing; it is raised if nothing was
        taken."""
        ...
