"""The relay: publishes what was committed, brings back what was lost, seals what was told."""

from __future__ import annotations

from core.domain.jobs import Stream
from ports.broker import Broker
from ports.clock import Ids
from ports.system import SystemStorage

PUBLISH_AT_ONCE = 100
SYNCS_AT_ONCE = 200
SENDS_OF_TENANT = 4
"""How many notifications of a tenant are being sent at once: receivers that hang hold up their own tenant's others."""
DAY = 86_400.0
IDEMPOTENCY_DAYS = 2
"""How long a repeated request is recognised: clients retry for hours, not for days."""


def publish_due(*, share: int, sync_share: int, system: SystemStorage, broker: Broker) -> int:
    """Publishes due jobs, at most `share` in flight of a tenant and stream, `sync_share` of its syncs, and
    `SENDS_OF_TENANT` of its notifications; returns how many. Raises `Transient`: what was not published stays queued,
    and what was published twice is claimed once."""
    shares: dict[str, int] = {Stream.SYNC: sync_share, Stream.SEND: SENDS_OF_TENANT}
    with system.take_due(share=share, limit=PUBLISH_AT_ONCE, shares=shares) as due:
        for tenant_id, job_id, stream, headers in due:
            broker.publish(tenant_id, job_id, stream, headers)
    return len(due)


def reap_jobs(*, republish_after: float, system: SystemStorage) -> int:
    """Queues again what a lost worker held, and what a lost broker carried; returns how many."""
    return system.reap(republish_after=republish_after)


def queue_syncs(*, max_attempts: int, system: SystemStorage, ids: Ids) -> int:
    """Queues syncs of connections that are due, of all tenants; returns how many."""
    return system.queue_syncs(ids.batch(2 * SYNCS_AT_ONCE), max_attempts=max_attempts)


def sweep(*, payload_days: float, job_days: float, system: SystemStorage) -> int:
    """Drops what has served its time; returns how many rows went."""
    return system.sweep(
        payload_seconds=payload_days * DAY, job_seconds=job_days * DAY, key_seconds=IDEMPOTENCY_DAYS * DAY
    )


def seal_events(*, system: SystemStorage) -> int:
    """Gives committed events their place; returns how many batches."""
    return system.seal()
