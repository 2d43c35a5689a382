"""Providers beside a password: linked to an account by who signed in with it, and unlinked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.domain.events import EventType, NewEvent
from core.domain.identity import SIGN_IN_TIME, IdentityProvider
from core.domain.people import LOCAL, Session
from core.domain.tenants import User
from core.errors import Conflict, Forbidden, LinkInvalid, NotFound
from core.usecases.shared.code_flow import LINKING, Begun, begin_flow, begun_flow, exchange_code
from core.usecases.shared.links import read_link, write_link
from core.usecases.shared.people import Caller, addressed, operator, tell, tell_as
from core.usecases.shared.second_step import take_code
from core.usecases.shared.signing_in import IssuedSession, at_once, go_on, prove
from ports.clock import Clock, Ids
from ports.identity import IdentityProviders
from ports.one_time_codes import OneTimeCodes
from ports.passwords import PasswordHasher
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import UnitOfWork

_FOUND = "oidc/found"
_SOMEBODY_ELSES = "whom you are there is somebody else here already"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Who came back from the provider, as it says, for the person to look at; `token` links them."""

    title: str
    name: str
    email: str
    subject: str
    token: str = field(repr=False)


def list_linked(user: User, *, people: PeopleStorage) -> Sequence[str]:
    """The issuers by which they sign in."""
    return people.linked_issuers(user.id)


def begin_linking(
    session: Session,
    user: User,
    key: str,
    password: str,
    code: str,
    redirect_uri: str,
    caller: Caller,
    *,
    identities: IdentityProviders,
    people: PeopleStorage,
    hasher: PasswordHasher,
    codes: OneTimeCodes,
    secrets: SecretBox,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Begun:
    """Sends a person to the provider that is to sign them in as well, after they proved the password anew, and the
    second factor if they have one: from then on that provider leads around both.

    Raises `SignInFailed`, `CodeWrong`, `Forbidden` in a session that no password opened, `Conflict` where that provider
    is linked, `NotFound` or `Transient`.
    """
    if session.via != LOCAL:
        raise Forbidden("sign in with your password to link a provider to it")
    _check_free(identities.get(key), user, people)
    prove(user.email, password, caller, people=people, hasher=hasher, uow=uow, clock=clock, later=at_once)
    account = people.account(user.email)
    if account is not None and account.second_factor is not None:
        take_code(user, account, code, caller, codes=codes, people=people, secrets=secrets, uow=uow, clock=clock)
    more = _whose(session, user)
    return begin_flow(LINKING, key, redirect_uri, more, identities=identities, secrets=secrets, clock=clock, ids=ids)


def answer_linking(
    session: Session,
    user: User,
    key: str,
    kept: str,
    *,
    state: str,
    code: str,
    identities: IdentityProviders,
    people: PeopleStorage,
    secrets: SecretBox,
    clock: Clock,
) -> Found:
    """Who came back. Nothing is linked before the person saw whom the provider says they are: their browser may be
    signed in there as somebody else. Raises `LinkInvalid` unless this session of theirs began it, `Unauthenticated`
    where the provider's word does not hold, or `Conflict`."""
    says = begun_flow(LINKING, key, kept, state=state, secrets=secrets, clock=clock)
    _check_whose(says, session, user)
    provider, claims = identities.get(key), exchange_code(says, code, identities=identities)
    if people.user_of_identity(claims.issuer, claims.subject) not in (None, user.id):
        raise Conflict(_SOMEBODY_ELSES)
    _check_free(provider, user, people)
    found = {"key": key, "issuer": claims.issuer, "subject": claims.subject, **_whose(session, user)}
    return Found(
        title=provider.title,
        name=claims.name,
        email=claims.email,
        subject=claims.subject,
        token=write_link(_FOUND, found, clock.now() + SIGN_IN_TIME, secrets),
    )


def link_identity(
    session: Session,
    user: User,
    token: str,
    caller: Caller,
    *,
    identities: IdentityProviders,
    people: PeopleStorage,
    secrets: SecretBox,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> IssuedSession:
    """From now on that provider signs them in, too, whatever address it has for them. All sessions of the person end,
    and the present one goes on as another: so it is done once. Raises `LinkInvalid` or `Conflict`."""
    says = read_link(_FOUND, token, clock.now(), secrets)
    _check_whose(says, session, user)
    _check_free(identities.get(says["key"]), user, people)
    try:
        people.add_identity(says["issuer"], says["subject"], user.id, clock.now())
    except Conflict:
        raise Conflict(_SOMEBODY_ELSES) from None
    people.end_sessions(user.id, clock.now())
    tell(EventType.IDENTITY_LINKED, user, people.belongings(user.id), caller, {"via": says["issuer"]}, uow=uow)
    return go_on(session, user, caller, uow=uow, people=people, clock=clock, ids=ids)


def unlink_identity(
    user: User, issuer: str, caller: Caller, *, people: PeopleStorage, uow: UnitOfWork, clock: Clock
) -> None:
    """The provider signs them in no more, and the sessions that began by it end. Raises `NotFound`, or `Conflict` for
    who has no password: nothing would be left to sign in by."""
    if people.account(user.email) is None:
        raise Conflict("you have no password: without this provider nothing would be left to sign in by")
    if not people.remove_identities(user.id, issuer, clock.now()):
        raise NotFound("this provider is not linked to your account")
    tell(EventType.IDENTITY_UNLINKED, user, people.belongings(user.id), caller, {"via": issuer}, uow=uow)


def unlink_person(email: str, caller: Caller, *, people: PeopleStorage, uow: UnitOfWork, clock: Clock) -> Sequence[str]:
    """By the operator, for whom somebody else may have linked one: unlinks all providers of who has that address, and
    tells their tenants. Returns their issuers. Raises `NotFound`."""
    user = addressed(email, people)
    issuers = people.linked_issuers(user.id)
    for issuer in issuers:
        people.remove_identities(user.id, issuer, clock.now())
    told = [NewEvent(type=EventType.IDENTITY_UNLINKED, subject_id=user.id, payload={"via": one}) for one in issuers]
    if told:
        tell_as((operator(one.tenant_id, caller) for one in people.belongings(user.id)), told, uow=uow)
    return issuers


def _check_free(provider: IdentityProvider, user: User, people: PeopleStorage) -> None:
    """One of each provider, so that whoever unlinks it knows that nobody is left there who is them."""
    if provider.issuer in people.linked_issuers(user.id):
        raise Conflict(f"{provider.title} is linked to your account already: unlink it first")


def _whose(session: Session, user: User) -> Mapping[str, str]:
    return {"user_id": str(user.id), "session_id": str(session.id)}


def _check_whose(says: Mapping[str, str], session: Session, user: User) -> None:
    """Raises `LinkInvalid` for what another person or session of theirs began."""
    whose = _whose(session, user)
    if {name: says[name] for name in whose} != whose:
        raise LinkInvalid
