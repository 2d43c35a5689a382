"""Events, read in their sealed order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from core.domain.events import Event, EventFilter, EventType, NewEvent, Verification
from core.domain.tenants import Actor
from core.usecases.shared.people import Caller, operator
from ports.clock import Clock
from ports.storage import UnitOfWork
from ports.system import SystemStorage

TOLD_EVERY = timedelta(hours=1)


def list_events(
    actor: Actor, where: EventFilter, *, after: int, limit: int, newest: bool = False, uow: UnitOfWork
) -> Sequence[Event]:
    """Events of the actor's tenant with a `seq` above `after`; with `newest` those below it (0: all), newest first."""
    with uow.begin(actor) as tx:
        return tx.events.list(where, after=after, limit=limit, newest=newest)


def list_tenant_events(
    tenant_id: UUID, where: EventFilter, *, after: int, limit: int, newest: bool = False, system: SystemStorage
) -> Sequence[Event]:
    """The same of any tenant, for the operator; `note_reading` tells of it."""
    return system.events(where, tenant_id=tenant_id, after=after, limit=limit, newest=newest)


def note_reading(tenant_id: UUID, caller: Caller, *, uow: UnitOfWork, clock: Clock) -> None:
    """Tells the tenant that the operator reads its log: once in `TOLD_EVERY`, however often they do."""
    now = clock.now()
    with uow.begin(operator(tenant_id, caller)) as tx:
        if tx.tenants.note_reading(now, now - TOLD_EVERY):
            tx.events.append([NewEvent(type=EventType.OPERATOR_READ, subject_id=tenant_id)])
            tx.commit()


def verify_events(tenant_id: UUID, *, system: SystemStorage) -> Verification:
    """Whether the tenant's sealed events are what was sealed, for the operator."""
    return system.verify_events(tenant_id)
