"""A second factor beside the password: one-time codes of an app, and recovery codes for when it is lost."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.people import (
    ENROLMENT_TIME,
    LOCAL,
    RECOVERY_BYTES,
    RECOVERY_CODES,
    Session,
    hash_recovery_code,
    recovery_code,
)
from core.domain.tenants import User
from core.errors import CodeWrong, Conflict, LinkInvalid, NotFound
from core.usecases.shared.links import ENROLMENT, HALF_WAY, fingerprint, read_link, write_link
from core.usecases.shared.people import Caller, operator, tell, tell_as
from core.usecases.shared.second_step import take_code
from core.usecases.shared.signing_in import IssuedSession, at_once, factor_context, go_on, let_in, prove
from ports.clock import Clock, Ids
from ports.one_time_codes import OneTimeCodes
from ports.passwords import PasswordHasher
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import UnitOfWork

_KEY_BYTES = 20
"""As long as the digest of SHA-1, which apps count with (RFC 4226, 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A key that nobody has yet: `uri` to be scanned by an app, `key` to be typed; `token` comes back with a code."""

    token: str = field(repr=False)
    key: str = field(repr=False)
    uri: str = field(repr=False)


def begin_second_factor(user: User, *, codes: OneTimeCodes, secrets: SecretBox, clock: Clock, ids: Ids) -> Enrolment:
    """A new key, which holds once its first code proves that an app has it."""
    key = ids.entropy(_KEY_BYTES)
    says = {"user_id": str(user.id), "key": key.hex()}
    return Enrolment(
        token=write_link(ENROLMENT, says, clock.now() + ENROLMENT_TIME, secrets),
        key=base64.b32encode(key).decode(),
        uri=codes.uri(key, user.email),
    )


def add_second_factor(
    session: Session,
    user: User,
    token: str,
    code: str,
    password: str,
    caller: Caller,
    *,
    codes: OneTimeCodes,
    people: PeopleStorage,
    hasher: PasswordHasher,
    secrets: SecretBox,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> tuple[IssuedSession, Sequence[str]]:
    """From now on a password alone opens nothing; returns the recovery codes, which are shown this once. All sessions
    of the person end, and the present one goes on as another.

    The password is asked for, so that a session that was left open does not lock its person out. Raises `SignInFailed`,
    `CodeWrong`, `LinkInvalid`, or `Conflict` for who has a second factor.
    """
    says = read_link(ENROLMENT, token, clock.now(), secrets)
    if says["user_id"] != str(user.id):
        raise LinkInvalid
    prove(user.email, password, caller, people=people, hasher=hasher, uow=uow, clock=clock, later=at_once)
    account = people.account(user.email)
    if account is None or account.second_factor is not None:
        raise Conflict("you have a second factor already: remove it first")
    key = bytes.fromhex(says["key"])
    step = codes.step(key, code.strip(), clock.now())
    if step is None:
        raise CodeWrong
    shown = [recovery_code(ids.entropy(RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]
    sealed = secrets.seal(key, factor_context(user.id))
    people.put_second_factor(user.id, sealed, [hash_recovery_code(one) for one in shown], clock.now())
    people.use_step(user.id, step)
    tell(EventType.SECOND_FACTOR_ADDED, user, people.belongings(user.id), caller, {}, uow=uow)
    return go_on(session, user, caller, uow=uow, people=people, clock=clock, ids=ids), shown


def prove_second_factor(
    token: str,
    code: str,
    caller: Caller,
    *,
    lasts_seconds: float,
    codes: OneTimeCodes,
    people: PeopleStorage,
    secrets: SecretBox,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> IssuedSession:
    """A session for who proved the password before and has the code now. Raises `LinkInvalid` for who has to begin
    again, `CodeWrong`, or `Forbidden` for a member of no tenant."""
    says = read_link(HALF_WAY, token, clock.now(), secrets)
    try:
        user = people.user(UUID(says["user_id"]))
    except NotFound:
        raise LinkInvalid from None
    account = people.account(user.email)
    if account is None or says["present"] != fingerprint(account):
        raise LinkInvalid
    take_code(user, account, code, caller, codes=codes, people=people, secrets=secrets, uow=uow, clock=clock)
    return let_in(
        user,
        LOCAL,
        caller,
        lasts=timedelta(seconds=lasts_seconds),
        tenant_id=UUID(says["tenant_id"]) if says["tenant_id"] else None,
        uow=uow,
        people=people,
        clock=clock,
        ids=ids,
    )


def remove_second_factor(
    session: Session,
    user: User,
    code: str,
    caller: Caller,
    *,
    codes: OneTimeCodes,
    people: PeopleStorage,
    secrets: SecretBox,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> IssuedSession:
    """By who has it, or one of its recovery codes. All sessions of the person end, and the present one goes on as
    another. Raises `CodeWrong`, or `NotFound` for who has none."""
    account = people.account(user.email)
    if account is None or account.second_factor is None:
        raise NotFound("you have no second factor")
    take_code(user, account, code, caller, codes=codes, people=people, secrets=secrets, uow=uow, clock=clock)
    people.remove_second_factor(user.id, clock.now())
    tell(EventType.SECOND_FACTOR_REMOVED, user, people.belongings(user.id), caller, {}, uow=uow)
    return go_on(session, user, caller, uow=uow, people=people, clock=clock, ids=ids)


def drop_second_factor(email: str, caller: Caller, *, people: PeopleStorage, uow: UnitOfWork, clock: Clock) -> None:
    """By the operator, for who lost it with all recovery codes and was recognised otherwise. All sessions of the person
    end. Raises `NotFound`."""
    user = people.user_of_email(email.strip().lower())
    if user is None or not people.remove_second_factor(user.id, clock.now()):
        raise NotFound("nobody has this e-mail address and a second factor")
    told = [NewEvent(type=EventType.SECOND_FACTOR_REMOVED, subject_id=user.id)]
    tell_as((operator(one.tenant_id, caller) for one in people.belongings(user.id)), told, uow=uow)
