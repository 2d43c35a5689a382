"""People, as they act in tenants and as these are told of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.people import Belonging
from core.domain.permissions import ROLE_PERMISSIONS
from core.domain.tenants import OPERATOR, Actor, User
from core.errors import NotFound
from ports.people import PeopleStorage
from ports.storage import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """From where somebody calls who is not known yet; `user_agent` is as short as it is kept. `device` is the secret of
    a browser that somebody signed in with before, which proves nobody."""

    address: str
    user_agent: str
    request_id: str | None = None
    device: str | None = field(default=None, repr=False)


def addressed(email: str, people: PeopleStorage) -> User:
    """Who has that address, however it is written. Raises `NotFound`."""
    user = people.user_of_email(email.strip().lower())
    if user is None:
        raise NotFound("nobody has this e-mail address")
    return user


def person(user: User, belonging: Belonging, caller: Caller) -> Actor:
    """The person in that tenant, with what their role allows."""
    return Actor(
        tenant_id=belonging.tenant_id,
        name=user.name or user.email,
        permissions=ROLE_PERMISSIONS[belonging.role],
        user_id=user.id,
        role=belonging.role,
        request_id=caller.request_id,
        address=caller.address,
        user_agent=caller.user_agent,
    )


def operator(tenant_id: UUID, caller: Caller) -> Actor:
    """Who runs the installation, at work in a tenant. It carries no permission: what needs one asks for a key."""
    return _from_outside(OPERATOR, tenant_id, caller)


def unknown(tenant_id: UUID, caller: Caller) -> Actor:
    """Somebody who did not say who they are."""
    return _from_outside("somebody", tenant_id, caller)


def tell(
    type: EventType,
    user: User,
    belongings: Iterable[Belonging],
    caller: Caller,
    payload: Mapping[str, Any],
    *,
    uow: UnitOfWork,
) -> None:
    """What the person did about themselves, in each of these tenants."""
    told = [NewEvent(type=type, subject_id=user.id, payload=payload)]
    tell_as((person(user, one, caller) for one in belongings), told, uow=uow)


def tell_as(actors: Iterable[Actor], told: Sequence[NewEvent], *, uow: UnitOfWork) -> None:
    """The same events in the tenants of all these actors, as theirs: a transaction each."""
    for actor in actors:
        with uow.begin(actor) as tx:
            tx.events.append(told)
            tx.commit()


def _from_outside(name: str, tenant_id: UUID, caller: Caller) -> Actor:
    return Actor(
        tenant_id=tenant_id,
        name=name,
        request_id=caller.request_id,
        address=caller.address or None,
        user_agent=caller.user_agent,
    )
