"""Members of a tenant: invited, joining, changed and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from core.domain.billing import Terms
from core.domain.events import EventType, NewEvent
from core.domain.jobs import NewJob, Stream
from core.domain.names import check_name
from core.domain.people import (
    INVITATION_TIME,
    Invitation,
    InvitationStatus,
    WaysIn,
    check_email,
    check_may_assign,
)
from core.domain.permissions import Permission, Role
from core.domain.tenants import Actor, Membership, User, check_person_name, worker_actor
from core.errors import Conflict, Forbidden
from core.usecases.shared.joining import acceptable, join
from core.usecases.shared.leaving import person_behind, take_back
from core.usecases.shared.limits import check_room_for_member
from core.usecases.shared.links import INVITATION, invitation_token, read_link
from core.usecases.shared.new_password import hash_new
from core.usecases.shared.people import Caller, tell
from core.usecases.shared.signing_in import HalfWay, IssuedSession, admit, at_once, prove
from ports.clock import Clock, Ids
from ports.mail import Mailer
from ports.passwords import PasswordHasher
from ports.people import PeopleStorage
from ports.secrets import SecretBox
from ports.storage import Transaction, UnitOfWork

_HERE_ALREADY = "you are here already: sign in as you do elsewhere, or ask for a link that sets a password"


def list_members(actor: Actor, *, uow: UnitOfWork) -> Sequence[tuple[User, Membership]]:
    """By e-mail address."""
    with uow.begin(actor) as tx:
        return tx.members.list()


def ways_in(actor: Actor, *, people: PeopleStorage) -> Mapping[UUID, WaysIn]:
    """How each member comes in, and when they were last here, for who may see to it. Raises `Forbidden`."""
    actor.require(Permission.MEMBERS_WRITE)
    return people.ways_in(actor.tenant_id)


def change_member(actor: Actor, user_id: UUID, role: Role, *, uow: UnitOfWork, clock: Clock) -> tuple[User, Membership]:
    """Gives a member another role, and takes back what they may no longer make. Raises `NotFound`, `Forbidden` where
    only an owner may, or `Conflict` where the tenant would be left without one."""
    with uow.begin(actor) as tx:
        _, before = tx.members.get(user_id, lock=True)
        check_may_assign(actor, before.role, role)
        if before.role is not role:
            tx.members.set_role(user_id, role)
            _keep_an_owner(tx)
            payload = {"before": before.role.value, "role": role.value}
            tx.events.append([NewEvent(type=EventType.MEMBER_CHANGED, subject_id=user_id, payload=payload)])
            take_back(tx, user_id, role, clock=clock)
        member = tx.members.get(user_id)
        tx.commit()
    return member


def remove_member(actor: Actor, user_id: UUID, *, uow: UnitOfWork, clock: Clock) -> None:
    """Their sessions in this tenant end with their next request, their open invitations, API keys and the endpoints at
    which they are written to at once. Everybody may leave. Raises as `change_member`."""
    with uow.begin(actor) as tx:
        _, membership = tx.members.get(user_id, lock=True)
        if user_id != actor.user_id:
            actor.require(Permission.MEMBERS_WRITE)
            check_may_assign(actor, membership.role)
        tx.members.remove(user_id)
        _keep_an_owner(tx)
        payload = {"role": membership.role.value}
        tx.events.append([NewEvent(type=EventType.MEMBER_REMOVED, subject_id=user_id, payload=payload)])
        take_back(tx, user_id, None, clock=clock)
        tx.commit()


def end_member_sessions(actor: Actor, user_id: UUID, *, people: PeopleStorage, uow: UnitOfWork, clock: Clock) -> int:
    """Ends the sessions of a member that are in this tenant; returns how many there were. Raises `NotFound`, or
    `Forbidden` where only an owner may."""
    with uow.begin(actor) as tx:
        _, membership = tx.members.get(user_id)
        if user_id != actor.user_id:
            check_may_assign(actor, membership.role)
    ended = people.end_sessions(user_id, clock.now(), tenant_id=actor.tenant_id)
    if ended:
        with uow.begin(actor) as tx:
            payload = {"sessions": ended}
            tx.events.append([NewEvent(type=EventType.SESSION_ENDED, subject_id=user_id, payload=payload)])
            tx.commit()
    return ended


def invite(
    actor: Actor,
    email: str,
    role: Role,
    *,
    max_attempts: int,
    mailer: Mailer | None,
    terms: Terms,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Invitation:
    """Asks somebody to become a member; a mail with the link is queued, where there is a mail server. Raises `Invalid`,
    `Forbidden`, `LimitReached`, or `Conflict` for a member and where that address has an open invitation."""
    address, now = check_email(email), clock.now()
    check_may_assign(actor, role)
    with uow.begin(actor) as tx:
        made_by = person_behind(tx, actor, clock=clock)
        invitation = _an_invitation(actor, address, role, made_by, clock, ids)
        if any(user.email == address for user, _ in tx.members.list()):
            raise Conflict("this person is a member already")
        for other in tx.invitations.list():
            if other.email == address and not other.acceptable(now):
                tx.invitations.close(other.id, InvitationStatus.REVOKED)
        _send(tx, invitation, max_attempts, mailer, terms, clock, ids)
        tx.commit()
    return invitation


def renew_invitation(
    actor: Actor,
    invitation_id: UUID,
    *,
    max_attempts: int,
    mailer: Mailer | None,
    terms: Terms,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> Invitation:
    """Another invitation in place of an open one, with the same address and role, and its mail: the former link serves
    no more. Raises `NotFound`, `Forbidden` where only an owner may, `LimitReached`, or `Conflict` unless it is open and
    of who is no member yet."""
    with uow.begin(actor) as tx:
        made_by = person_behind(tx, actor, clock=clock)  # first: who removes them takes both in this order
        former = tx.invitations.get(invitation_id, lock=True)
        check_may_assign(actor, former.role)
        invitation = _an_invitation(actor, former.email, former.role, made_by, clock, ids)
        if any(user.email == former.email for user, _ in tx.members.list()):
            raise Conflict("this person is a member already")
        tx.invitations.close(invitation_id, InvitationStatus.REVOKED)
        tx.events.append([NewEvent(type=EventType.INVITATION_REVOKED, subject_id=invitation_id)])
        _send(tx, invitation, max_attempts, mailer, terms, clock, ids)
        tx.commit()
    return invitation


def list_invitations(actor: Actor, *, uow: UnitOfWork) -> Sequence[Invitation]:
    """Those that are open, also if nobody can accept them any more."""
    with uow.begin(actor) as tx:
        return tx.invitations.list()


def revoke_invitation(actor: Actor, invitation_id: UUID, *, uow: UnitOfWork) -> None:
    """Raises `NotFound`, `Forbidden` where only an owner may, or `Conflict` unless it is open."""
    with uow.begin(actor) as tx:
        check_may_assign(actor, tx.invitations.get(invitation_id).role)
        tx.invitations.close(invitation_id, InvitationStatus.REVOKED)
        tx.events.append([NewEvent(type=EventType.INVITATION_REVOKED, subject_id=invitation_id)])
        tx.commit()


def invitation_link(invitation: Invitation, *, secrets: SecretBox) -> str:
    """The token of the link that accepts it, to be passed on where there is no mail server."""
    return invitation_token(invitation, secrets)


def read_invitation(token: str, *, uow: UnitOfWork, secrets: SecretBox, clock: Clock) -> tuple[Invitation, str]:
    """The invitation and its tenant's name. Raises `LinkInvalid`."""
    tenant_id, invitation_id = _named(token, secrets, clock)
    with uow.begin(worker_actor(tenant_id)) as tx:
        return acceptable(tx, invitation_id, clock), tx.tenants.get().name


def accept_invitation(
    token: str,
    password: str,
    caller: Caller,
    *,
    name: str = "",
    lasts_seconds: float,
    uow: UnitOfWork,
    people: PeopleStorage,
    hasher: PasswordHasher,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> IssuedSession | HalfWay:
    """Makes who got the link a member, and begins a session in the tenant. Who has an account proves it by its
    password; who is new sets one. Raises `LinkInvalid`, `SignInFailed`, `Invalid`, or `Forbidden` for who is here
    without a password: a link that somebody else may have passed on must not set one for them."""
    invitation, _ = read_invitation(token, uow=uow, secrets=secrets, clock=clock)
    email, now = invitation.email, clock.now()
    hashed = ""
    if people.account(email) is not None:
        prove(email, password, caller, people=people, hasher=hasher, uow=uow, clock=clock, later=at_once)
    elif people.user_of_email(email) is not None:
        raise Forbidden(_HERE_ALREADY)
    else:
        hashed = hash_new(password, email, name, hasher)
    user = people.user_of_email(email) or User(
        id=ids.new(), email=email, name=check_name(check_person_name(name)), created_at=now
    )
    joined = join(invitation, user, caller, uow=uow, clock=clock)
    if hashed and joined.id != user.id:  # somebody else came in with that address at the same time
        raise Forbidden(_HERE_ALREADY)
    if hashed:
        people.put_password(joined.id, hashed, now)
        tell(EventType.PASSWORD_CHANGED, joined, people.belongings(joined.id), caller, {"by": "invitation"}, uow=uow)
    lasts = timedelta(seconds=lasts_seconds)
    return admit(
        joined,
        caller,
        lasts=lasts,
        tenant_id=invitation.tenant_id,
        uow=uow,
        people=people,
        secrets=secrets,
        clock=clock,
        ids=ids,
    )


def _an_invitation(actor: Actor, email: str, role: Role, made_by: UUID | None, clock: Clock, ids: Ids) -> Invitation:
    now = clock.now()
    return Invitation(
        id=ids.new(),
        tenant_id=actor.tenant_id,
        email=email,
        role=role,
        status=InvitationStatus.OPEN,
        invited_by=actor.name,
        created_at=now,
        expires_at=now + INVITATION_TIME,
        invited_by_id=made_by,
    )


def _send(
    tx: Transaction,
    invitation: Invitation,
    max_attempts: int,
    mailer: Mailer | None,
    terms: Terms,
    clock: Clock,
    ids: Ids,
) -> None:
    """Adds it, with its event and its mail. Raises `LimitReached`."""
    check_room_for_member(tx, terms, clock)
    tx.invitations.add(invitation)
    payload = {"role": invitation.role.value}
    tx.events.append([NewEvent(type=EventType.MEMBER_INVITED, subject_id=invitation.id, payload=payload)])
    if mailer is not None:
        mail = {"mail": INVITATION, "invitation_id": str(invitation.id)}
        tx.jobs.add([NewJob(id=ids.new(), stream=Stream.MAIL, payload=mail, max_attempts=max_attempts)])


def _named(token: str, secrets: SecretBox, clock: Clock) -> tuple[UUID, UUID]:
    says = read_link(INVITATION, token, clock.now(), secrets)
    return UUID(says["tenant_id"]), UUID(says["invitation_id"])


def _keep_an_owner(tx: Transaction) -> None:
    if tx.members.owners() == 0:
        raise Conflict("a tenant keeps at least one owner: make another member one first")
