"""Passwords: set by who got the link, changed by who knows the present one."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.jobs import NewJob, Stream
from core.domain.people import LOCAL
from core.domain.tenants import User, worker_actor
from core.errors import LinkInvalid, NotFound
from core.usecases.shared.links import PASSWORD, fingerprint, password_token, read_link
from core.usecases.shared.new_password import hash_new
from core.usecases.shared.people import Caller, addressed, operator, tell, tell_as, unknown
from core.usecases.shared.signing_in import HalfWay, IssuedSession, admit, at_once, let_in, prove
from ports.clock import Clock, Ids
from ports.later import Later
from ports.passwords import PasswordHasher
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import UnitOfWork


def ask_for_reset(
    email: str, caller: Caller, *, max_attempts: int, people: PeopleStorage, uow: UnitOfWork, ids: Ids, later: Later
) -> None:
    """Queues a mail with a link, if somebody has that address and is a member anywhere; says nothing of whether, nor by
    how long it takes."""
    later(partial(_queue_reset, email.strip().lower(), caller, max_attempts, people=people, uow=uow, ids=ids))


def _queue_reset(
    email: str, caller: Caller, max_attempts: int, *, people: PeopleStorage, uow: UnitOfWork, ids: Ids
) -> None:
    user = people.user_of_email(email)
    belongings = people.belongings(user.id) if user is not None else ()
    if user is None or not belongings or (people.account(email) is None and people.has_identity(user.id)):
        return  # whom a provider brought in, a mailbox alone must not keep in
    payload = {"mail": PASSWORD, "user_id": str(user.id)}
    with uow.begin(worker_actor(belongings[0].tenant_id)) as tx:
        tx.jobs.add([NewJob(id=ids.new(), stream=Stream.MAIL, payload=payload, max_attempts=max_attempts)])
        tx.commit()
    tell_as((unknown(one.tenant_id, caller) for one in belongings), [_of_link(user)], uow=uow)


def reset_link(
    email: str, caller: Caller, *, people: PeopleStorage, uow: UnitOfWork, secrets: SecretBox, clock: Clock
) -> str:
    """The token of a link that sets the password of who has that address, for the operator to pass on; their tenants
    are told. Raises `NotFound`."""
    user = addressed(email, people)
    tell_as((operator(one.tenant_id, caller) for one in people.belongings(user.id)), [_of_link(user)], uow=uow)
    return password_token(user, people.account(user.email), clock.now(), secrets)


def _of_link(user: User) -> NewEvent:
    return NewEvent(type=EventType.PASSWORD_LINK_MADE, subject_id=user.id)


def reset_password(
    token: str,
    password: str,
    caller: Caller,
    *,
    lasts_seconds: float,
    people: PeopleStorage,
    hasher: PasswordHasher,
    secrets: SecretBox,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> IssuedSession | HalfWay:
    """Sets the password of who got the link, ends all their sessions, and begins one; a second factor is asked for
    still. Raises `LinkInvalid` or `Invalid`."""
    user = whose_link(token, people=people, secrets=secrets, clock=clock)
    people.put_password(user.id, hash_new(password, user.email, user.name, hasher), clock.now())
    tell(EventType.PASSWORD_CHANGED, user, people.belongings(user.id), caller, {"by": "link"}, uow=uow)
    lasts = timedelta(seconds=lasts_seconds)
    return admit(user, caller, lasts=lasts, uow=uow, people=people, secrets=secrets, clock=clock, ids=ids)


def whose_link(token: str, *, people: PeopleStorage, secrets: SecretBox, clock: Clock) -> User:
    """Raises `LinkInvalid`: also where the password was changed since, so that a link is good once."""
    says = read_link(PASSWORD, token, clock.now(), secrets)
    try:
        user = people.user(UUID(says["user_id"]))
    except NotFound:
        raise LinkInvalid from None
    if says["present"] != fingerprint(people.account(user.email)):
        raise LinkInvalid
    return user


def change_password(
    user: User,
    present: str,
    password: str,
    caller: Caller,
    *,
    lasts_seconds: float,
    people: PeopleStorage,
    hasher: PasswordHasher,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> IssuedSession:
    """Ends all sessions of the person and begins one. Raises `SignInFailed` where `present` is not their password."""
    prove(user.email, present, caller, people=people, hasher=hasher, uow=uow, clock=clock, later=at_once)
    people.put_password(user.id, hash_new(password, user.email, user.name, hasher), clock.now())
    tell(EventType.PASSWORD_CHANGED, user, people.belongings(user.id), caller, {"by": "password"}, uow=uow)
    lasts = timedelta(seconds=lasts_seconds)
    return let_in(user, LOCAL, caller, lasts=lasts, uow=uow, people=people, clock=clock, ids=ids)
