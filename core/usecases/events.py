"""Events, read in their sealed order."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from core.domain.events import Event, EventFilter, Verification
from core.domain.tenants import Actor
from ports.storage import UnitOfWork
from ports.system import SystemStorage


def list_events(actor: Actor, where: EventFilter, *, after: int, limit: int, uow: UnitOfWork) -> Sequence[Event]:
    """Events of the actor's tenant with a `seq` above `after`."""
    with uow.begin(actor) as tx:
        return tx.events.list(where, after=after, limit=limit)


def list_tenant_events(
    tenant_id: UUID, where: EventFilter, *, after: int, limit: int, system: SystemStorage
) -> Sequence[Event]:
    """The same of any tenant, for the operator."""
    return system.events(where, tenant_id=tenant_id, after=after, limit=limit)


def verify_events(tenant_id: UUID, *, system: SystemStorage) -> Verification:
    """Whether the tenant's sealed events are what was sealed, for the operator."""
    return system.verify_events(tenant_id)
