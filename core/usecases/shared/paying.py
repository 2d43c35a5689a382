"""Whose customer a tenant is, and how its provider is asked what it has there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from core.domain.billing import ENDED, Account, Subscription, pick
from core.domain.jobs import NewJob, Stream
from ports.clock import Clock, Ids
from ports.payments import Payments
from ports.storage import Transaction


def provider_key(payments: Payments) -> str:
    """What accounts and events name a provider by: its test customers are not its live ones."""
    return f"{payments.name}/{payments.prices}"


def customer_of(account: Account, payments: Payments) -> str | None:
    """The tenant's customer at this provider, if it has one."""
    return account.customer_id if account.provider == provider_key(payments) else None


def as_provider_has(account: Account, payments: Payments, clock: Clock) -> tuple[Account, Sequence[Subscription]]:
    """The account as its provider has it now, and which subscriptions run. A customer of another provider, from before,
    has nothing here; one who is gone is forgotten. Raises `PaymentsUnavailable` or `PaymentsRefused`."""
    asked_at = clock.now()  # before the answer, in which anything later may be missing
    customer = customer_of(account, payments)
    found = None if customer is None else payments.subscriptions(customer)
    if customer is not None and found is None:
        account = replace(account, provider=None, customer_id=None)
    subscriptions = found or []
    running = [one for one in subscriptions if one.status not in ENDED]
    return replace(account, subscription=pick(subscriptions), fetched_at=asked_at), running


def queue_sync(tx: Transaction, reason: str, request_id: str | None, max_attempts: int, *, ids: Ids) -> UUID:
    """Queues a job that asks the provider now, in turn or not; returns its id."""
    payload = {"reason": reason}
    job = NewJob(id=ids.new(), stream=Stream.BILLING, payload=payload, request_id=request_id, max_attempts=max_attempts)
    tx.jobs.add([job])
    return job.id
