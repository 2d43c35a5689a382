"""What is kept of a tenant or a person: given out as a whole, or erased. The operator's, at their command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from core.domain.billing import ENDED
from core.domain.events import EventType, NewEvent
from core.domain.permissions import Role
from core.domain.tenants import worker_actor
from core.errors import Conflict
from core.usecases.shared.people import Caller, addressed, operator, tell_as
from ports.files import FileStore
from ports.people import PeopleStorage
from ports.privacy import PrivacyStorage
from ports.storage import UnitOfWork


def export_tenant(
    tenant_id: UUID, caller: Caller, *, uow: UnitOfWork, privacy: PrivacyStorage
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(kind, row) of everything that the tenant has, which is told first. Raises `NotFound`."""
    with uow.begin(operator(tenant_id, caller)) as tx:
        tx.tenants.get()
        tx.events.append([NewEvent(type=EventType.EXPORTED, subject_id=tenant_id, payload={"what": "tenant"})])
        tx.commit()
    return privacy.tenant_rows(tenant_id)


def export_person(
    email: str, caller: Caller, *, people: PeopleStorage, uow: UnitOfWork, privacy: PrivacyStorage
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(kind, row) of everything that names the person; the tenants that it is of are told first. Raises `NotFound`."""
    user = addressed(email, people)
    told = NewEvent(type=EventType.EXPORTED, subject_id=user.id, payload={"what": "person"})
    tell_as((operator(one, caller) for one in privacy.tenants_of_person(user.id)), [told], uow=uow)
    return privacy.person_rows(user.id)


def erase_tenant(tenant_id: UUID, name: str, *, uow: UnitOfWork, privacy: PrivacyStorage, files: FileStore) -> None:
    """Erases the tenant with all that it has; `name` must be its name, so that nobody erases another. Raises `NotFound`
    or `Conflict`."""
    with uow.begin(worker_actor(tenant_id)) as tx:
        if tx.tenants.get().name != name:
            raise Conflict("this is not the tenant's name: nothing was erased")
        paid = tx.billing.get().subscription
        if paid is not None and paid.status not in ENDED:
            raise Conflict("a subscription runs: cancel it at the provider first, or it is charged for nothing")
    files.delete_under(str(tenant_id))  # first: while the tenant is there, this can be asked for again
    privacy.erase_tenant(tenant_id)
    files.delete_under(str(tenant_id))  # what a worker wrote meanwhile


def erase_person(
    email: str, caller: Caller, *, people: PeopleStorage, uow: UnitOfWork, privacy: PrivacyStorage
) -> None:
    """Erases what proves and names the person, in all tenants, which are told by their id first: also those that the
    person left. Raises `NotFound`, or `Conflict` for the only owner of one."""
    user = addressed(email, people)
    for one in people.belongings(user.id):
        with uow.begin(worker_actor(one.tenant_id)) as tx:
            if one.role is Role.OWNER and tx.members.owners() == 1:
                raise Conflict(f"they are the only owner of {one.tenant_name}: make another one, or erase the tenant")
    told = NewEvent(type=EventType.PERSON_ERASED, subject_id=user.id)
    tell_as((operator(one, caller) for one in privacy.tenants_of_person(user.id)), [told], uow=uow)
    privacy.erase_person(user.id)
