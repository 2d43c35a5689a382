"""What a provider tells of its own accord is kept with the job that asks it what is so now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.domain.payments import EventOutcome
from core.usecases.shared.paying import provider_key
from ports.billing_storage import BillingSystem
from ports.clock import Clock, Ids
from ports.payments import Payments

QUEUED_AT_ONCE = 500
RECONCILED_EVERY = 86_400.0
"""Seconds after which a provider is asked although it told nothing."""
REPORTED_EVERY = 3_600.0
"""Seconds between two reports of usage."""
DAY = 86_400.0
KEPT_DAYS = 90.0
"""For as long a provider could tell the same again: Stripe keeps events for 30 days, and retries for 3."""


def receive_payment_event(
    headers: Mapping[str, str],
    body: bytes,
    *,
    max_attempts: int,
    event_delay: float,
    payments: Payments,
    billing: BillingSystem,
    clock: Clock,
    ids: Ids,
) -> EventOutcome:
    """Keeps an event that is signed by the provider, once; names of `headers` are in lower case. Raises
    `WebhookRefused`. What is told within `event_delay` seconds is asked about once."""
    event = payments.read_event(body, headers, clock.now())
    event = replace(event, provider=provider_key(payments))
    return billing.receive(event, ids.new(), max_attempts=max_attempts, delay_seconds=event_delay)


def queue_billing(*, max_attempts: int, billing: BillingSystem, clock: Clock, ids: Ids) -> int:
    """Queues what is due of billing, of all tenants; returns how many jobs."""
    return billing.queue(
        ids.batch(QUEUED_AT_ONCE),
        clock.now(),
        max_attempts=max_attempts,
        reconcile_seconds=RECONCILED_EVERY,
        report_seconds=REPORTED_EVERY,
    )


def sweep_payment_events(*, billing: BillingSystem) -> int:
    """Drops events that are told no more; returns how many."""
    return billing.sweep(KEPT_DAYS * DAY)
