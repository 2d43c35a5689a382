"""A person proves who they are, and is let in: a session begins, and their tenant is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.people import (
    LOCAL,
    MOST_DEVICES,
    KnownDevice,
    LocalAccount,
    Session,
    hash_browser_secret,
    lock_after,
)
from core.domain.tenants import User
from core.errors import Forbidden, SignInFailed
from core.usecases.shared.links import half_way_token
from core.usecases.shared.people import Caller, tell, tell_as, unknown
from ports.clock import Clock, Ids
from ports.later import Later
from ports.passwords import PasswordHasher
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import UnitOfWork

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedSession:
    """A session that began just now, and what the browser is to keep: it is stored nowhere. `device` is what a browser
    is known by later, None where no password opened the session."""

    session: Session
    secret: str = field(repr=False)
    device: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfWay:
    """Who knew the password and has a second factor to prove still; the browser keeps `token` until then."""

    token: str = field(repr=False)


def prove(
    email: str,
    password: str,
    caller: Caller,
    *,
    people: PeopleStorage,
    hasher: PasswordHasher,
    uow: UnitOfWork,
    clock: Clock,
    later: Later,
) -> User:
    """Whom the password is of. Raises `SignInFailed`, in the same words and after as long whether nobody has that
    address, the password is wrong, or the account is locked: what is to be noted then is left for later, since only of
    somebody there is anything to note. What strangers get wrong holds up no browser that the person is known by."""
    account, now = people.account(email.strip().lower()), clock.now()
    device = known_device(account, caller, now, people)
    right = hasher.verify(account.password_hash if account else None, password)
    if account is None or (device or account).locked(now) or not right:
        if account is not None:
            later(partial(count_wrong, account, device, caller, LOCAL, people=people, uow=uow, clock=clock))
        raise SignInFailed
    if account.second_factor is None:  # else the failures are forgotten when that is proved, too
        people.forget_failures(account.user_id, device=device.id if device else None)
    if hasher.outdated(account.password_hash):
        people.refresh_password(account.user_id, hasher.hash(password))
    return people.user(account.user_id)


def known_device(
    account: LocalAccount | None, caller: Caller, now: datetime, people: PeopleStorage
) -> KnownDevice | None:
    """The browser that calls, where the account's person is known by it and it is not locked. It is looked for whether
    or not there is an account, and as long."""
    found = people.device(hash_browser_secret(caller.device)) if caller.device else None
    if account is None or found is None or found.user_id != account.user_id or found.locked(now):
        return None
    return found


def admit(
    user: User,
    caller: Caller,
    *,
    lasts: timedelta,
    tenant_id: UUID | None = None,
    uow: UnitOfWork,
    people: PeopleStorage,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> IssuedSession | HalfWay:
    """Lets in who proved the password, or asks for the second factor, if they have one. Raises as `let_in`."""
    account = people.account(user.email)
    if account is not None and account.second_factor is not None:
        return HalfWay(token=half_way_token(user, account, tenant_id, clock.now(), secrets))
    return let_in(user, LOCAL, caller, lasts=lasts, tenant_id=tenant_id, uow=uow, people=people, clock=clock, ids=ids)


def factor_context(user_id: UUID) -> str:
    """What the sealed key of a second factor is bound to."""
    return f"second factor/{user_id}"


def at_once(work: Callable[[], None]) -> None:
    """For who is known by more than the password that they give: they learn nothing by how long it takes."""
    work()


def count_wrong(
    account: LocalAccount,
    device: KnownDevice | None,
    caller: Caller,
    via: str,
    *,
    people: PeopleStorage,
    uow: UnitOfWork,
    clock: Clock,
) -> None:
    """One more wrong password or code: told, and the account locked after too many, or the known browser that it came
    from. Whoever guesses is not known."""
    now, failures, until = clock.now(), 0, None  # a lock begins when it is written, however late that is
    if not (device or account).locked(now):  # guesses while it is locked are refused, and count for nothing
        on = device.id if device else None
        failures = people.count_failure(account.user_id, device=on)
        until = lock_after(failures, now)
        if until is not None:
            people.lock(account.user_id, until, device=on)
    tell_wrong(account, device, caller, via, failures, until, people=people, uow=uow)


def tell_wrong(
    account: LocalAccount,
    device: KnownDevice | None,
    caller: Caller,
    via: str,
    failures: int,
    until: datetime | None,
    *,
    people: PeopleStorage,
    uow: UnitOfWork,
) -> None:
    """What the person's tenants are told of a wrong password or code, and of the lock until then."""
    known = {"known_device": True} if device else {}
    told = [NewEvent(type=EventType.SIGN_IN_FAILED, subject_id=account.user_id, payload={"via": via, **known})]
    if until is not None:
        payload = {"failures": failures, "until": until.isoformat(timespec="seconds"), **known}
        told.append(NewEvent(type=EventType.ACCOUNT_LOCKED, subject_id=account.user_id, payload=payload))
    tell_as((unknown(one.tenant_id, caller) for one in people.belongings(account.user_id)), told, uow=uow)


def let_in(
    user: User,
    via: str,
    caller: Caller,
    *,
    lasts: timedelta,
    tenant_id: UUID | None = None,
    uow: UnitOfWork,
    people: PeopleStorage,
    clock: Clock,
    ids: Ids,
) -> IssuedSession:
    """A new session in that tenant, or in the first of theirs that is open to who came that way; a browser that came by
    a password is known from now on. Raises `Forbidden` for a member of none."""
    belongings = [one for one in people.belongings(user.id) if one.open_to(via)]
    entered = next((one for one in belongings if one.tenant_id == tenant_id), None) or next(iter(belongings), None)
    if entered is None:
        raise Forbidden("you are a member of no tenant: ask for an invitation")
    now, secret = clock.now(), ids.entropy(_SECRET_BYTES).hex()
    session = Session(
        id=ids.new(),
        secret_hash=hash_browser_secret(secret),
        user_id=user.id,
        tenant_id=entered.tenant_id,
        via=via,
        address=caller.address,
        user_agent=caller.user_agent,
        created_at=now,
        seen_at=now,
        expires_at=now + lasts,
    )
    people.add_session(session)
    device = _make_known(user, caller, now, people, ids) if via == LOCAL else None
    tell(EventType.SIGNED_IN, user, [entered], caller, {"session_id": session.id, "via": via}, uow=uow)
    return IssuedSession(session=session, secret=secret, device=device)


def _make_known(user: User, caller: Caller, now: datetime, people: PeopleStorage, ids: Ids) -> str:
    """What the browser is known by: another secret with each sign-in, so that a copy of the former is worth nothing."""
    secret = ids.entropy(_SECRET_BYTES).hex()
    fresh = hash_browser_secret(secret)
    if not caller.device or not people.renew_device(user.id, hash_browser_secret(caller.device), fresh, now):
        device = KnownDevice(id=ids.new(), user_id=user.id, secret_hash=fresh, created_at=now, seen_at=now)
        people.add_device(device, most=MOST_DEVICES)
    return secret


def go_on(
    session: Session, user: User, caller: Caller, *, uow: UnitOfWork, people: PeopleStorage, clock: Clock, ids: Ids
) -> IssuedSession:
    """The session that takes the place of this one, after all of the person's were ended: by the same proof, in the
    same tenant, and no longer than this one was to last. Raises as `let_in`."""
    lasts, tenant_id = session.expires_at - clock.now(), session.tenant_id
    return let_in(
        user, session.via, caller, lasts=lasts, tenant_id=tenant_id, uow=uow, people=people, clock=clock, ids=ids
    )
