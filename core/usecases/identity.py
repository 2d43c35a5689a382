"""People who prove who they are by a provider of OpenID Connect: at the console, and with bearer tokens at the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from core.domain.billing import Terms
from core.domain.events import EventType, NewEvent
from core.domain.identity import Claims, IdentityProvider, granted
from core.domain.people import Belonging
from core.domain.permissions import Role
from core.domain.tenants import Actor, Membership, User, worker_actor
from core.errors import Conflict, Forbidden, LimitReached, LinkInvalid, Unauthenticated
from core.usecases.shared.code_flow import LINKING, SIGN_IN, Begun, begin_flow, begun_flow, exchange_code
from core.usecases.shared.joining import acceptable, join
from core.usecases.shared.leaving import take_back
from core.usecases.shared.limits import check_room_for_member
from core.usecases.shared.links import INVITATION, read_link
from core.usecases.shared.people import Caller, person, tell, unknown
from core.usecases.shared.signing_in import IssuedSession, let_in
from ports.clock import Clock, Ids
from ports.identity import IdentityProviders
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import Transaction, UnitOfWork


def begin_identity_sign_in(
    key: str,
    redirect_uri: str,
    *,
    to: str = "/",
    invitation: str = "",
    identities: IdentityProviders,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> Begun:
    """Sends a person to the provider; `invitation` is the token of one that they accept by that. Raises `NotFound` or
    `Transient`."""
    more = {"to": to, "invitation": invitation}
    return begin_flow(SIGN_IN, key, redirect_uri, more, identities=identities, secrets=secrets, clock=clock, ids=ids)


def check_begun(key: str, kept: str, *, state: str, secrets: SecretBox, clock: Clock) -> str:
    """What this browser began that the provider answers: `SIGN_IN` or `LINKING`. Raises `LinkInvalid` where it began
    neither."""
    try:
        begun_flow(SIGN_IN, key, kept, state=state, secrets=secrets, clock=clock)
    except LinkInvalid:
        begun_flow(LINKING, key, kept, state=state, secrets=secrets, clock=clock)
        return LINKING
    return SIGN_IN


def finish_identity_sign_in(
    key: str,
    kept: str,
    *,
    state: str,
    code: str,
    caller: Caller,
    lasts_seconds: float,
    identities: IdentityProviders,
    people: PeopleStorage,
    terms: Terms,
    uow: UnitOfWork,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> tuple[IssuedSession, str]:
    """A session for who came back, and where they were going. Raises `LinkInvalid` where this browser began no such
    sign-in, `Unauthenticated` where the provider's word does not hold, `Forbidden` for a member of no tenant."""
    says = begun_flow(SIGN_IN, key, kept, state=state, secrets=secrets, clock=clock)
    provider, claims = identities.get(key), exchange_code(says, code, identities=identities)
    user = _known(provider, claims, caller, people=people, terms=terms, uow=uow, clock=clock, ids=ids)
    tenant_id: UUID | None = None
    if says["invitation"]:
        user, tenant_id = _accepted(
            says["invitation"],
            user,
            claims,
            caller,
            secrets=secrets,
            people=people,
            uow=uow,
            clock=clock,
            ids=ids,
        )
    if user is None:
        raise Forbidden("nobody here knows you yet: ask for an invitation")
    lasts = timedelta(seconds=lasts_seconds)
    issued = let_in(
        user,
        provider.issuer,
        caller,
        lasts=lasts,
        tenant_id=tenant_id,
        uow=uow,
        people=people,
        clock=clock,
        ids=ids,
    )
    return issued, says["to"]


def authenticate_token(
    token: str,
    tenant_id: UUID | None,
    caller: Caller,
    *,
    identities: IdentityProviders,
    people: PeopleStorage,
) -> Actor:
    """The person whose bearer token it is, in that tenant, or in their only one. Nothing follows from it but this: who
    is new, and whose groups changed, signs in at the console first, since an older token may say what was before.
    Raises `Unauthenticated` or `Forbidden`."""
    provider, claims = identities.verify(token)
    user_id = people.user_of_identity(claims.issuer, claims.subject)
    user = people.user(user_id) if user_id is not None else None
    belongings = [one for one in people.belongings(user.id) if one.open_to(provider.issuer)] if user is not None else []
    if user is None or not belongings:
        raise Forbidden("you are a member of no tenant: ask for an invitation")
    if tenant_id is None and len(belongings) > 1:
        raise Forbidden("you are a member of several tenants: name one by the header X-Tenant-Id")
    here = next((one for one in belongings if tenant_id in (None, one.tenant_id)), None)
    if here is None:
        raise Forbidden("you are no member of this tenant")
    return person(user, here, caller)


def _known(
    provider: IdentityProvider,
    claims: Claims,
    caller: Caller,
    *,
    people: PeopleStorage,
    terms: Terms,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> User | None:
    """Whose identity it is, after their groups were made memberships; None for somebody new without any. Who has the
    address, too, is linked, unless a password says who they are: then the provider would lead around it. Raises
    `Forbidden` for them."""
    user_id = people.user_of_identity(claims.issuer, claims.subject)
    user = people.user(user_id) if user_id is not None else None
    grants = granted(provider, claims)
    if user is None and claims.email:
        user = people.user_of_email(claims.email)
        if user is not None:
            _link(claims, user, caller, people, uow, clock)
        elif grants:
            new = User(id=ids.new(), email=claims.email, name=claims.name, created_at=clock.now())
            _follow_groups(new, (), grants, provider, caller, terms, uow, clock)
            user = people.user_of_email(claims.email)  # nobody, where no tenant had a seat for them
            if user is not None:
                _link(claims, user, caller, people, uow, clock)
            return user
    if user is None or not provider.groups:
        return user
    return _follow_groups(user, people.belongings(user.id), grants, provider, caller, terms, uow, clock)


def _link(claims: Claims, user: User, caller: Caller, people: PeopleStorage, uow: UnitOfWork, clock: Clock) -> None:
    if people.account(user.email) is not None:
        raise Forbidden("you have a password here: sign in with it, and link this provider at your account")
    try:
        people.add_identity(claims.issuer, claims.subject, user.id, clock.now())
    except Conflict:
        raise Unauthenticated("this identity is somebody else's here") from None
    tell(EventType.IDENTITY_LINKED, user, people.belongings(user.id), caller, {"via": claims.issuer}, uow=uow)


def _follow_groups(
    user: User,
    belongings: Sequence[Belonging],
    grants: Mapping[UUID, Role],
    provider: IdentityProvider,
    caller: Caller,
    terms: Terms,
    uow: UnitOfWork,
    clock: Clock,
) -> User:
    """Makes, changes and unmakes the memberships that are the issuer's to grant, where the tenant's plan has room;
    those by invitation stay, and so does a tenant's last owner."""
    present = {one.tenant_id: one for one in belongings}
    for tenant_id, role in grants.items():
        here = present.get(tenant_id)
        if here is None:
            membership = Membership(tenant_id=tenant_id, user_id=user.id, role=role, granted_by=provider.issuer)
            with uow.begin(_issuer(provider, tenant_id, caller)) as tx:
                try:
                    check_room_for_member(tx, terms, clock)
                except LimitReached as full:
                    _tell(tx, EventType.MEMBER_REFUSED, user, role, reason=full.code)
                    continue
                user = tx.members.add(user, membership)
                _tell(tx, EventType.MEMBER_JOINED, user, role)
        elif here.granted_by == provider.issuer and here.role is not role:
            with uow.begin(_issuer(provider, tenant_id, caller)) as tx:
                tx.members.get(user.id, lock=True)
                tx.members.set_role(user.id, role)
                if tx.members.owners():
                    take_back(tx, user.id, role, clock=clock)
                    _tell(tx, EventType.MEMBER_CHANGED, user, role, before=here.role.value)
    for one in belongings:
        if one.granted_by == provider.issuer and one.tenant_id not in grants:
            with uow.begin(_issuer(provider, one.tenant_id, caller)) as tx:
                tx.members.get(user.id, lock=True)
                tx.members.remove(user.id)
                if tx.members.owners():
                    take_back(tx, user.id, None, clock=clock)
                    _tell(tx, EventType.MEMBER_REMOVED, user, one.role)
    return user


def _issuer(provider: IdentityProvider, tenant_id: UUID, caller: Caller) -> Actor:
    return replace(unknown(tenant_id, caller), name=provider.title)


def _tell(tx: Transaction, type: EventType, user: User, role: Role, **more: str) -> None:
    tx.events.append([NewEvent(type=type, subject_id=user.id, payload={"role": role.value, **more})])
    tx.commit()


def _accepted(
    token: str,
    user: User | None,
    claims: Claims,
    caller: Caller,
    *,
    secrets: SecretBox,
    people: PeopleStorage,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> tuple[User, UUID]:
    """The member that an invitation makes of who came back. Raises `LinkInvalid`, or `Forbidden` where the provider
    does not say that the address which was invited is theirs."""
    says = read_link(INVITATION, token, clock.now(), secrets)
    tenant_id = UUID(says["tenant_id"])
    with uow.begin(worker_actor(tenant_id)) as tx:
        invitation = acceptable(tx, UUID(says["invitation_id"]), clock)
    if invitation.email not in (claims.email, user.email if user is not None else ""):
        raise Forbidden("this invitation is for another address: sign in with the one that it was sent to")
    if user is None and people.account(invitation.email) is not None:
        raise Forbidden("you have a password here: accept the invitation with it")
    name = user.name if user is not None else claims.name
    new = User(id=ids.new(), email=invitation.email, name=name, created_at=clock.now())
    joining = people.user_of_email(invitation.email) or new
    joined = join(invitation, joining, caller, uow=uow, clock=clock)
    if user is None:
        _link(claims, joined, caller, people, uow, clock)
    return joined, tenant_id
