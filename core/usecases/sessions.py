"""Sessions at the console: begun by a password, used, listed and ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.people import SEEN_EVERY, Belonging, Session, hash_browser_secret
from core.domain.tenants import Actor, User
from core.errors import NotFound, Unauthenticated
from core.usecases.shared.people import Caller, addressed, operator, person, tell, tell_as
from core.usecases.shared.signing_in import HalfWay, IssuedSession, admit, prove
from ports.clock import Clock, Ids
from ports.later import Later
from ports.passwords import PasswordHasher
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import UnitOfWork


def sign_in(
    email: str,
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
    later: Later,
) -> IssuedSession | HalfWay:
    """A session for whom the password is of, or half of the way to it. Raises `SignInFailed`, or `Forbidden` for
    a member of no tenant."""
    user = prove(email, password, caller, people=people, hasher=hasher, uow=uow, clock=clock, later=later)
    lasts = timedelta(seconds=lasts_seconds)
    return admit(user, caller, lasts=lasts, uow=uow, people=people, secrets=secrets, clock=clock, ids=ids)


def open_session(
    secret: str, caller: Caller, *, idle_seconds: float, people: PeopleStorage, clock: Clock
) -> tuple[Session, Actor, User, Sequence[Belonging]]:
    """Whose session it is, as who acts in its tenant, and the tenants that they may go to.

    Raises `Unauthenticated` where it ended, or its person is no member there any more.
    """
    session, now = people.session(hash_browser_secret(secret)), clock.now()
    if session is None or not session.live(now, timedelta(seconds=idle_seconds)):
        raise Unauthenticated("your session has ended: sign in again")
    belongings = [one for one in people.belongings(session.user_id) if one.open_to(session.via)]
    here = next((one for one in belongings if one.tenant_id == session.tenant_id), None)
    if here is None:
        raise Unauthenticated("you are no member of this tenant any more: sign in again")
    if session.seen_at < now - SEEN_EVERY:
        people.touch_session(session.id, now)
    user = people.user(session.user_id)
    return session, person(user, here, caller), user, belongings


def enter_tenant(session: Session, tenant_id: UUID, caller: Caller, *, people: PeopleStorage, uow: UnitOfWork) -> None:
    """Goes on in another tenant of the person's, which is told as of a sign-in. Raises `NotFound` for one that is not
    theirs."""
    belongings = people.belongings(session.user_id)
    there = [one for one in belongings if one.tenant_id == tenant_id and one.open_to(session.via)]
    if not there:
        raise NotFound("this tenant does not exist")
    people.enter_tenant(session.id, tenant_id)
    payload = {"session_id": session.id, "via": session.via}
    tell(EventType.SIGNED_IN, people.user(session.user_id), there, caller, payload, uow=uow)


def leave_session(secret: str, *, people: PeopleStorage, clock: Clock) -> None:
    """Ends the session that a browser had before it began another one, if there is one."""
    if (session := people.session(hash_browser_secret(secret))) is not None:
        people.end_sessions(session.user_id, clock.now(), only=session.id)


def list_sessions(user_id: UUID, *, people: PeopleStorage) -> Sequence[Session]:
    return people.sessions(user_id)


def end_session(
    actor: Actor, user: User, session_id: UUID | None, *, people: PeopleStorage, uow: UnitOfWork, clock: Clock
) -> int:
    """Ends one session of the actor's own, or all of them (None); returns how many."""
    ended = people.end_sessions(user.id, clock.now(), only=session_id)
    if ended:
        here = [one for one in people.belongings(user.id) if one.tenant_id == actor.tenant_id]
        caller = Caller(address=actor.address or "", user_agent=actor.user_agent or "", request_id=actor.request_id)
        tell(EventType.SESSION_ENDED, user, here, caller, {"sessions": ended}, uow=uow)
    return ended


def sign_out_person(email: str, caller: Caller, *, people: PeopleStorage, uow: UnitOfWork, clock: Clock) -> int:
    """Ends all sessions of who has that address, by the operator; their tenants are told. Returns how many there were.
    Raises `NotFound`."""
    user = addressed(email, people)
    ended = people.end_sessions(user.id, clock.now())
    if ended:
        told = [NewEvent(type=EventType.SESSION_ENDED, subject_id=user.id, payload={"sessions": ended})]
        tell_as((operator(one.tenant_id, caller) for one in people.belongings(user.id)), told, uow=uow)
    return ended
