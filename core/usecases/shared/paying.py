"""Whose customer a tenant is, and how its provider is asked."""

from __future__ import annotations

from uuid import UUID

from core.domain.billing import Account
from core.domain.jobs import NewJob, Stream
from ports.clock import Ids
from ports.payments import Payments
from ports.storage import Transaction


def provider_key(payments: Payments) -> str:
    """What accounts and events name a provider by: its test customers are not its live ones."""
    return f"{payments.name}/{payments.prices}"


def customer_of(account: Account, payments: Payments) -> str | None:
    """The tenant's customer at this provider, if it has one."""
    return account.customer_id if account.provider == provider_key(payments) else None


def queue_sync(tx: Transaction, reason: str, request_id: str | None, max_attempts: int, *, ids: Ids) -> UUID:
    """Queues a job that asks the provider now, in turn or not; returns its id."""
    payload = {"reason": reason}
    job = NewJob(id=ids.new(), stream=Stream.BILLING, payload=payload, request_id=request_id, max_attempts=max_attempts)
    tx.jobs.add([job])
    return job.id
