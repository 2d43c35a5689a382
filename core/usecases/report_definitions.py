"""Reports that are kept under a name, and made by themselves when their schedules say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.report_schedules import Schedule, check_schedule, latest_slot, next_slot
from core.domain.reports import MOST_DEFINITIONS, ReportDefinition, ReportSpec, check_name, check_spec
from core.domain.tenants import Actor, Tenant
from core.errors import Conflict, VersionMismatch
from ports.clock import Clock, Ids
from ports.storage import UnitOfWork
from ports.system import ReportTurn, SystemStorage

AT_ONCE = 200


def list_report_definitions(actor: Actor, *, uow: UnitOfWork) -> Sequence[ReportDefinition]:
    with uow.begin(actor) as tx:
        return tx.reports.definitions()


def get_report_definition(actor: Actor, definition_id: UUID, *, uow: UnitOfWork) -> ReportDefinition:
    with uow.begin(actor) as tx:
        return tx.reports.definition(definition_id)


def create_report_definition(
    actor: Actor,
    *,
    name: str,
    spec: ReportSpec,
    schedule: Schedule | None,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> ReportDefinition:
    """Raises `Invalid`, or `Conflict` for a name that another has, and beyond `MOST_DEFINITIONS`."""
    now = clock.now()
    with uow.begin(actor) as tx:
        if len(tx.reports.definitions()) >= MOST_DEFINITIONS:
            raise Conflict(f"a tenant has {MOST_DEFINITIONS} report definitions at most")
        made = ReportDefinition(
            id=ids.new(),
            tenant_id=actor.tenant_id,
            name=name,
            spec=spec,
            schedule=schedule,
            next_run_at=None,
            created_by=actor.name,
            created_at=now,
            updated_at=now,
            version=1,
        )
        made = _checked(made, tx.tenants.get(), clock)
        tx.reports.add_definition(made)
        tx.events.append([_told(EventType.REPORT_DEFINED, made)])
        tx.commit()
    return made


def change_report_definition(
    actor: Actor, definition_id: UUID, *, version: int | None, uow: UnitOfWork, clock: Clock, **changed: Any
) -> ReportDefinition:
    """`changed` are name, spec (a whole one) and schedule. Raises `Invalid`, `VersionMismatch`, `NotFound`,
    `Conflict`."""
    with uow.begin(actor) as tx:
        stored = tx.reports.definition(definition_id)
        if version not in (None, stored.version):
            raise VersionMismatch
        asked = replace(stored, **changed, updated_at=clock.now())
        if asked.schedule != stored.schedule:
            asked = replace(asked, next_run_at=None)
        made = _checked(asked, tx.tenants.get(), clock)
        tx.reports.update_definition(made)
        tx.events.append([_told(EventType.REPORT_REDEFINED, made, changed=sorted(changed))])
        tx.commit()
    return replace(made, version=made.version + 1)


def delete_report_definition(actor: Actor, definition_id: UUID, *, version: int | None, uow: UnitOfWork) -> None:
    """What was made by it stays. Raises `VersionMismatch`, `NotFound`."""
    with uow.begin(actor) as tx:
        stored = tx.reports.definition(definition_id)
        tx.reports.delete_definition(definition_id, version)
        tx.events.append([_told(EventType.REPORT_UNDEFINED, stored)])
        tx.commit()


def queue_reports(*, max_attempts: int, system: SystemStorage, clock: Clock, ids: Ids) -> int:
    """Queues the reports that are due, of all tenants; returns how many. One that missed turns, as after a downtime, is
    made once, for the latest of them."""
    now, turns = clock.now(), []
    for due in system.due_reports(AT_ONCE):
        slot = max(due.next_run_at, latest_slot(due.schedule, now, due.zone))
        turns.append(
            ReportTurn(
                due=due,
                slot=slot,
                today=slot.astimezone(due.zone).date(),
                following=next_slot(due.schedule, max(now, slot), due.zone),
                run_id=ids.new(),
                job_id=ids.new(),
            )
        )
    return system.queue_reports(turns, max_attempts=max_attempts) if turns else 0


def _checked(definition: ReportDefinition, tenant: Tenant, clock: Clock) -> ReportDefinition:
    """A turn that it has stays, since it may be due."""
    now = clock.now()
    check_spec(definition.spec, now.astimezone(tenant.zone).date())
    following = None
    if definition.schedule is not None:
        check_schedule(definition.schedule)
        if not definition.schedule.paused:
            following = definition.next_run_at or next_slot(definition.schedule, now, tenant.zone)
    return replace(definition, name=check_name(definition.name), next_run_at=following)


def _told(type: EventType, definition: ReportDefinition, **more: Any) -> NewEvent:
    scheduled = definition.schedule is not None and not definition.schedule.paused
    told = {"kind": definition.spec.kind.value, "scheduled": scheduled}
    return NewEvent(type=type, subject_id=definition.id, payload=told | more)
